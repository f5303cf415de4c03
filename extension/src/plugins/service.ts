import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator } from '@jupyterlab/translation';
import { Poll } from '@lumino/polling';
import { Api } from '../api';
import { CommandIDs } from '../ids';
import { Model } from '../model';
import { translation } from '../surroundings';
import { IWorkbench } from '../tokens';

const ID = 'migration-workbench:service';
const KEPT = `${ID}:current`;

/** The state every view shows, kept over a reload and read again from time to time. */
export const service: JupyterFrontEndPlugin<Model> = {
  id: ID,
  description: 'The migrations below the server root, and what runs in them.',
  autoStart: true,
  provides: IWorkbench,
  optional: [ISettingRegistry, IStateDB, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    registry: ISettingRegistry | null,
    state: IStateDB | null,
    translator: ITranslator | null
  ): Model => {
    const settings = app.serviceManager.serverSettings;
    const base = URLExt.join(settings.baseUrl, 'workbench', 'api');
    const model = new Model(new Api(base, (url, init) => ServerConnection.makeRequest(url, init, settings)));
    const poll = new Poll({
      auto: false,
      factory: () => model.refresh(),
      frequency: { interval: 30_000, backoff: true, max: 300_000 },
      name: ID,
      standby: 'when-hidden'
    });
    let notifications = true;
    const apply = (values: ISettingRegistry.ISettings): void => {
      const seconds = values.get('autorefresh').composite as number;
      poll.frequency = { ...poll.frequency, interval: seconds ? 1000 * seconds : Poll.NEVER };
      model.defaults = { jobs: values.get('jobs').composite as number };
      notifications = values.get('notifications').composite as boolean;
    };
    void registry?.load(ID).then(values => (apply(values), values.changed.connect(apply)));
    model.finished.connect((_, job) => {
      if (notifications) {
        notify(app, translator, job.code, job.sentence, model.journey?.name ?? '');
      }
    });
    // Lab is shown first: nothing of ours stands between a person and their notebooks.
    void app.restored.then(async () => {
      const kept = await state?.fetch(KEPT);
      if (typeof kept === 'string') {
        await model.select(kept);
      }
      model.changed.connect(() => void state?.save(KEPT, model.current));
      await poll.start();
    });
    return model;
  }
};

function notify(
  app: JupyterFrontEnd,
  translator: ITranslator | null,
  code: number | null,
  sentence: string,
  name: string
): void {
  const trans = translation(translator);
  const kind = code === 0 ? 'success' : code === 1 || code === 2 ? 'warning' : code === 130 ? 'info' : 'error';
  const message = `${name}: ${sentence}`.trim();
  const actions = [{ label: trans.__('Open report'), callback: () => void app.commands.execute(CommandIDs.openReport) }];
  Notification.emit(message, kind, { autoClose: 8000, actions: code === null || code > 2 ? [] : actions });
}
