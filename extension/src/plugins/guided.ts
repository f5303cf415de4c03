import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { DocumentRegistry, IDocumentWidget } from '@jupyterlab/docregistry';
import { ITranslator } from '@jupyterlab/translation';
import { ToolbarButton, launchIcon, runIcon, saveIcon } from '@jupyterlab/ui-components';
import type { IDisposable } from '@lumino/disposable';
import { DisposableSet } from '@lumino/disposable';
import type { TranslationBundle } from '@jupyterlab/translation';
import { CommandIDs } from '../ids';
import type { Model } from '../model';
import type { Notebook } from '../server';
import { translation } from '../surroundings';
import { IWorkbench } from '../tokens';

/** Buttons on the journey's own notebooks: run it as the schedule does, save what it found, see it as a reviewer. */
export const guided: JupyterFrontEndPlugin<void> = {
  id: 'migration-workbench:guided',
  description: '"Run headless", "Save evidence" and "Preview" on the toolbar of guided notebooks.',
  autoStart: true,
  requires: [IWorkbench],
  optional: [ITranslator],
  activate: (app: JupyterFrontEnd, model: Model, translator: ITranslator | null): void => {
    app.docRegistry.addWidgetExtension('Notebook', new Buttons(app, model, translation(translator)));
  }
};

class Buttons implements DocumentRegistry.WidgetExtension {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly model: Model,
    private readonly trans: TranslationBundle
  ) {}

  createNew(panel: IDocumentWidget, context: DocumentRegistry.Context): IDisposable {
    const { model, trans } = this;
    const found = (): Notebook | undefined =>
      model.journey?.chapters.flatMap(chapter => chapter.notebooks).find(one => one.path === context.localPath);
    const headless = new ToolbarButton({
      icon: runIcon,
      label: trans.__('Run headless'),
      tooltip: trans.__('Save, and run this notebook as a schedule would: its evidence and report are kept as a run'),
      onClick: () => void context.save().then(() => model.run({ only: [found()!.audit], force: true }))
    });
    const save = new ToolbarButton({
      icon: saveIcon,
      label: trans.__('Save evidence'),
      tooltip: trans.__('Run all cells, which stores the evidence, and save the notebook'),
      onClick: () => void this.saved(panel, context)
    });
    const preview = new ToolbarButton({
      icon: launchIcon,
      label: trans.__('Preview'),
      tooltip: trans.__('What a reviewer will see of this notebook, drawn from stored evidence'),
      onClick: () => void this.app.commands.execute(CommandIDs.openPreview, { audit: found()!.audit })
    });
    panel.toolbar.insertItem(10, 'migration-headless', headless);
    panel.toolbar.insertItem(11, 'migration-save', save);
    panel.toolbar.insertItem(12, 'migration-preview', preview);
    const show = (): void => {
      [headless, save].forEach(button => button.setHidden(!found()));
      preview.setHidden(!found()?.run);
    };
    show();
    model.changed.connect(show);
    const gone = { isDisposed: false, dispose: () => void model.changed.disconnect(show) };
    return DisposableSet.from([headless, save, preview, gone]);
  }

  private async saved(panel: IDocumentWidget, context: DocumentRegistry.Context): Promise<void> {
    this.app.shell.activateById(panel.id);
    await this.app.commands.execute('notebook:run-all-cells');
    await context.save();
    await this.model.refresh();
  }
}
