import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';
import { CommandIDs } from '../ids';
import type { Model } from '../model';
import { active, shareOfAll } from '../progress';
import { type Surroundings, Provided } from '../views/context';
import { surroundings } from '../surroundings';
import { IWorkbench } from '../tokens';
import { Sign } from '../views/status';

/** The verdict of the migration at hand, in the status bar. */
export const statusbar: JupyterFrontEndPlugin<void> = {
  id: 'migration-workbench:statusbar',
  description: 'The verdict of the migration at hand, in the status bar.',
  autoStart: true,
  requires: [IWorkbench, IStatusBar],
  optional: [ITranslator],
  activate: (app: JupyterFrontEnd, model: Model, bar: IStatusBar, translator: ITranslator | null): void => {
    const item = new Item(model, surroundings(app, translator));
    bar.registerStatusItem('migration-workbench:verdict', {
      item,
      align: 'left',
      rank: 10,
      isActive: () => !!model.summary,
      activeStateChanged: model.changed as never
    });
  }
};

class Item extends ReactWidget {
  constructor(
    private readonly model: Model,
    private readonly around: Surroundings
  ) {
    super();
    this.addClass('mw');
    this.addClass('mw-StatusItem');
  }

  protected render(): React.JSX.Element {
    return (
      <Provided value={this.around}>
        <UseSignal signal={this.model.changed}>{() => this.told()}</UseSignal>
      </Provided>
    );
  }

  private told(): React.JSX.Element {
    const { model } = this;
    const summary = model.summary;
    if (!summary) {
      return <></>;
    }
    const percent = active(model.job) ? ` · ${Math.round(100 * shareOfAll(model.job))} %` : '';
    return (
      <button title={summary.sentence} onClick={() => void this.around.commands.execute(CommandIDs.panel)}>
        <Sign status={summary.status} />
        {`${summary.name}: ${summary.brief}${percent}`}
      </button>
    );
  }
}
