import { LabIcon } from '@jupyterlab/ui-components';

/** Two dots, hollow and filled, and the way between them: the pair plot's legacy and candidate. */
export const migrationIcon = new LabIcon({
  name: 'migration-workbench:migration',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161">' +
    '<path d="M6.5 3a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zm0 2.2a2.3 2.3 0 1 1 0 4.6 2.3 2.3 0 0 1 0-4.6z"/>' +
    '<circle cx="17.5" cy="16.5" r="4.5"/>' +
    '<path d="M14 6.4h4.6v3.2l-1.6 0v-1.6H14zM10 17.6H5.4v-3.2h1.6v1.6H10z"/></g></svg>'
});
