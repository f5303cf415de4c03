import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { DocumentRegistry, IDocumentWidget } from '@jupyterlab/docregistry';
import { ITranslator } from '@jupyterlab/translation';
import { ToolbarButton, runIcon, saveIcon } from '@jupyterlab/ui-components';
import type { IDisposable } from '@lumino/disposable';
import { DisposableSet } from '@lumino/disposable';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Model } from '../model';
import type { Notebook } from '../server';
import { translation } from '../surroundings';
import { IWorkbench } from '../tokens';

/** Two buttons on the journey's own notebooks: run it as the schedule does, and save what it found by hand. */
export const guided: JupyterFrontEndPlugin<void> = {
  id: 'migration-workbench:guided',
  description: '"Run headless" and "Save evidence" on the toolbar of guided notebooks.',
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
    panel.toolbar.insertItem(10, 'migration-headless', headless);
    panel.toolbar.insertItem(11, 'migration-save', save);
    const show = (): void => [headless, save].forEach(button => button.setHidden(!found()));
    show();
    model.changed.connect(show);
    const gone = { isDisposed: false, dispose: () => void model.changed.disconnect(show) };
    return DisposableSet.from([headless, save, gone]);
  }

  private async saved(panel: IDocumentWidget, context: DocumentRegistry.Context): Promise<void> {
    this.app.shell.activateById(panel.id);
    await this.app.commands.execute('notebook:run-all-cells');
    await context.save();
    await this.model.refresh();
  }
}
