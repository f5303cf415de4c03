import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILauncher } from '@jupyterlab/launcher';
import { ITranslator } from '@jupyterlab/translation';
import { CommandIDs } from '../ids';
import { translation } from '../surroundings';

/** Cards in the launcher. */
export const launcher: JupyterFrontEndPlugin<void> = {
  id: 'migration-workbench:launcher',
  description: 'The launcher category "Migration".',
  autoStart: true,
  requires: [ILauncher],
  optional: [ITranslator],
  activate: (_: JupyterFrontEnd, cards: ILauncher, translator: ITranslator | null): void => {
    const category = translation(translator).__('Migration');
    [CommandIDs.create, CommandIDs.panel, CommandIDs.openReport, CommandIDs.openPreview, CommandIDs.history].forEach((command, rank) =>
      cards.add({ command, category, rank })
    );
  }
};
