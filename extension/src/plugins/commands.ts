import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, showErrorMessage } from '@jupyterlab/apputils';
import { ITranslator } from '@jupyterlab/translation';
import { refreshIcon, runIcon, stopIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import { CommandIDs } from '../ids';
import { migrationIcon } from '../icons';
import type { Model } from '../model';
import { active } from '../progress';
import { translation } from '../surroundings';
import { IWorkbench } from '../tokens';

type Options = CommandRegistry.ICommandOptions;
type Args = { audit?: string; notebook?: string; force?: boolean };

/** What can be done with the migration at hand, for the palette, the panel, menus and other extensions. */
export const commands: JupyterFrontEndPlugin<void> = {
  id: 'migration-workbench:commands',
  description: 'Run, stop, refresh and open parts of the migration at hand.',
  autoStart: true,
  requires: [IWorkbench],
  optional: [ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    model: Model,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): void => {
    const trans = translation(translator);
    const made = { ...running(model, translator), ...opening(app, model, translator) };
    for (const [id, options] of Object.entries(made)) {
      app.commands.addCommand(id, {
        describedBy: { args: { type: 'object', properties: {} } },
        ...options,
        execute: async args => {
          try {
            return await options.execute(args);
          } catch (error) {
            return showErrorMessage(trans.__('Migration'), error as Error);
          }
        }
      });
    }
    for (const command of Object.keys(made).filter(id => id !== CommandIDs.run && id !== CommandIDs.openNotebook)) {
      palette?.addItem({ command, category: trans.__('Migration') });
    }
    model.changed.connect(() => Object.keys(made).forEach(id => app.commands.notifyCommandChanged(id)));
  }
};

function running(model: Model, translator: ITranslator | null): Record<string, Options> {
  const trans = translation(translator);
  const idle = (): boolean => !!model.current && !active(model.job);
  return {
    [CommandIDs.runStale]: {
      label: trans.__('Run All That Is Stale'),
      caption: trans.__('Run the notebooks whose evidence no longer holds or was never made'),
      icon: runIcon,
      isEnabled: idle,
      execute: () => model.run()
    },
    [CommandIDs.runAll]: {
      label: trans.__('Run the Whole Journey Again'),
      caption: trans.__('Run every notebook, also those whose evidence still holds'),
      isEnabled: idle,
      execute: () => model.run({ force: true })
    },
    [CommandIDs.run]: {
      label: trans.__('Run One Notebook'),
      isEnabled: idle,
      execute: args => model.run({ only: [(args as Args).audit ?? ''], force: (args as Args).force ?? false })
    },
    [CommandIDs.stop]: {
      label: trans.__('Stop the Run'),
      caption: trans.__('Stop the run; what was finished is kept'),
      icon: stopIcon,
      isEnabled: () => active(model.job),
      execute: () => model.stop()
    },
    [CommandIDs.refresh]: {
      label: trans.__('Refresh Migrations'),
      icon: refreshIcon,
      execute: () => model.refresh()
    }
  };
}

function opening(app: JupyterFrontEnd, model: Model, translator: ITranslator | null): Record<string, Options> {
  const trans = translation(translator);
  const open = (path: string, factory?: string): Promise<unknown> =>
    app.commands.execute('docmanager:open', factory ? { path, factory } : { path });
  return {
    [CommandIDs.openFile]: {
      label: trans.__('Open migration.yaml'),
      icon: migrationIcon,
      isEnabled: () => !!model.summary,
      execute: () => model.summary && open(model.summary.file)
    },
    [CommandIDs.openNotebook]: {
      label: trans.__('Open a Notebook of the Journey'),
      isEnabled: () => !!model.journey,
      execute: async args => open(await pathOf(model, (args as Args).notebook ?? '', trans.__('no such notebook')), 'Notebook')
    }
  };
}

/** Where a notebook lies to work in by hand; the journey's notebooks are put there first where they are not yet. */
async function pathOf(model: Model, notebook: string, unknown: string): Promise<string> {
  const find = (): string | null | undefined =>
    model.journey?.chapters.flatMap(chapter => chapter.notebooks).find(one => one.notebook === notebook)?.path;
  if (!find()) {
    await model.api.copyNotebooks(model.current);
    await model.refresh();
  }
  const path = find();
  if (!path) {
    throw new Error(`${notebook}: ${unknown}`);
  }
  return path;
}
