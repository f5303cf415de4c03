import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ITranslator } from '@jupyterlab/translation';
import { CommandIDs } from '../ids';
import { migrationIcon } from '../icons';
import type { Model } from '../model';
import { surroundings } from '../surroundings';
import { IWorkbench } from '../tokens';
import { Panel } from '../views/panel';

/** The left sidebar. */
export const panel: JupyterFrontEndPlugin<void> = {
  id: 'migration-workbench:panel',
  description: 'The sidebar: where the migration stands, and running it.',
  autoStart: true,
  requires: [IWorkbench],
  optional: [ILayoutRestorer, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    model: Model,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): void => {
    const around = surroundings(app, translator);
    const { trans } = around;
    const widget = new Panel(model, around);
    widget.id = 'migration-workbench-panel';
    widget.title.icon = migrationIcon;
    widget.title.caption = trans.__('Migration');
    widget.node.setAttribute('role', 'region');
    widget.node.setAttribute('aria-label', trans.__('Migration'));
    app.shell.add(widget, 'left', { rank: 600, type: 'Migration' });
    restorer?.add(widget, widget.id);
    app.commands.addCommand(CommandIDs.panel, {
      label: trans.__('Show the Migration Panel'),
      icon: migrationIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => app.shell.activateById(widget.id)
    });
    palette?.addItem({ command: CommandIDs.panel, category: trans.__('Migration') });
  }
};
