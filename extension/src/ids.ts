/** Names of the commands, for the palette, menus, buttons, and other extensions. */
export const CommandIDs = {
  panel: 'migration-workbench:open',
  create: 'migration-workbench:new',
  createFrom: 'migration-workbench:new-from-files',
  run: 'migration-workbench:run',
  runStale: 'migration-workbench:run-stale',
  runAll: 'migration-workbench:run-all',
  stop: 'migration-workbench:stop',
  refresh: 'migration-workbench:refresh',
  openEvidence: 'migration-workbench:open-evidence',
  openNotebook: 'migration-workbench:open-notebook',
  openReport: 'migration-workbench:open-report',
  openPreview: 'migration-workbench:open-preview',
  openFile: 'migration-workbench:open-file',
  history: 'migration-workbench:history',
  runHeadless: 'migration-workbench:run-headless',
  saveEvidence: 'migration-workbench:save-evidence'
} as const;
