import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, showErrorMessage } from '@jupyterlab/apputils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { FileDialog, IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { ITranslator } from '@jupyterlab/translation';
import { Draft } from '../draft';
import { looksLikeData, looksLikeModel, sorted } from '../files';
import { CommandIDs } from '../ids';
import { migrationIcon } from '../icons';
import type { Model } from '../model';
import type { Summary } from '../server';
import { surroundings } from '../surroundings';
import { IWorkbench } from '../tokens';
import { Wizard } from '../views/wizard';

/** A new migration, from files chosen in the file browser or in a dialog. */
export const wizard: JupyterFrontEndPlugin<void> = {
  id: 'migration-workbench:wizard',
  description: 'From a file with rows and a legacy model to migration.yaml.',
  autoStart: true,
  requires: [IWorkbench],
  optional: [IDocumentManager, IFileBrowserFactory, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    model: Model,
    documents: IDocumentManager | null,
    browsers: IFileBrowserFactory | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): void => {
    const around = surroundings(app, translator);
    const { trans } = around;
    const selected = (): string[] => {
      const items = browsers?.tracker.currentWidget?.selectedItems() ?? [];
      return [...items].filter(item => item.type !== 'directory').map(item => contentsPath(item.path));
    };
    const open = (data: readonly string[], file: string): void => {
      const draft = new Draft(model.api, folder => listed(app, folder), data, file);
      const pick = (title: string, folder: string): Promise<string[]> => picked(documents, translator, title, folder);
      const content = new Wizard(draft, pick, (summary, run) => void created(summary, run), around);
      const widget = new MainAreaWidget({ content });
      widget.toolbar.hide();
      widget.title.label = trans.__('New migration');
      widget.title.icon = migrationIcon;
      const created = async (summary: Summary, run: boolean): Promise<void> => {
        widget.dispose();
        await finished(app, model, summary, run).catch(error => showErrorMessage(trans.__('Migration'), error as Error));
      };
      app.shell.add(widget, 'main', { type: 'Migration' });
      app.shell.activateById(widget.id);
      void draft.begin();
    };
    app.commands.addCommand(CommandIDs.create, {
      label: args => (args.isPalette ? trans.__('New Migration …') : trans.__('New Migration')),
      caption: trans.__('Take rows and a legacy model, and see what is proposed'),
      icon: migrationIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => open([], '')
    });
    app.commands.addCommand(CommandIDs.createFrom, {
      label: trans.__('Migrate This Model …'),
      icon: migrationIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      isVisible: () => selected().some(path => looksLikeModel(path) || looksLikeData(path)),
      execute: () => {
        const files = sorted(selected());
        open(files.data, files.model);
      }
    });
    palette?.addItem({ command: CommandIDs.create, category: trans.__('Migration'), args: { isPalette: true } });
  }
};

/** Without the drive's name, which the server does not know. */
function contentsPath(path: string): string {
  return path.replace(/^[^/:]+:/, '');
}

async function listed(app: JupyterFrontEnd, folder: string): Promise<string[]> {
  const found = await app.serviceManager.contents.get(folder, { content: true });
  const items = found.content as { path: string; type: string }[];
  return items.filter(item => item.type !== 'directory').map(item => item.path);
}

async function picked(
  manager: IDocumentManager | null,
  translator: ITranslator | null,
  title: string,
  folder: string
): Promise<string[]> {
  if (!manager) {
    return [];
  }
  const options = { manager, title, defaultPath: folder, ...(translator ? { translator } : {}) };
  const answer = await FileDialog.getOpenFiles(options);
  const files = answer.button.accept ? (answer.value ?? []) : [];
  return files.filter(file => file.type !== 'directory').map(file => contentsPath(file.path));
}

async function finished(app: JupyterFrontEnd, model: Model, summary: Summary, run: boolean): Promise<void> {
  await model.refresh();
  await model.select(summary.id);
  await app.commands.execute('docmanager:open', { path: summary.file });
  app.shell.activateById('migration-workbench-panel');
  if (run) {
    await model.run();
  }
}
