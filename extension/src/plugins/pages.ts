import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ITranslator } from '@jupyterlab/translation';
import { IFrame } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { Widget } from '@lumino/widgets';
import { CommandIDs } from '../ids';
import { migrationIcon } from '../icons';
import type { Model } from '../model';
import { surroundings } from '../surroundings';
import { IWorkbench } from '../tokens';
import { type Surroundings } from '../views/context';
import { EvidenceWidget } from '../views/evidence';
import { HistoryWidget } from '../views/history';
import { PreviewWidget } from '../views/preview';
import { titled } from '../words';

type Args = { migration: string; audit: string; run: string };
type Kind = { id: string; name: string; label: string; caption?: string; make: (args: Args) => Widget };

/** Pages of the main area: evidence, report, history; each is there again after a reload. */
export const pages: JupyterFrontEndPlugin<void> = {
  id: 'migration-workbench:pages',
  description: 'Evidence, report and history of a migration in the main area.',
  autoStart: true,
  requires: [IWorkbench],
  optional: [ILayoutRestorer, IRenderMimeRegistry, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    model: Model,
    restorer: ILayoutRestorer | null,
    rendermime: IRenderMimeRegistry | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): void => {
    const around = surroundings(app, translator, rendermime);
    for (const kind of kinds(model, around)) {
      place(app, model, restorer, kind);
      if (kind.id !== CommandIDs.openEvidence) {
        palette?.addItem({ command: kind.id, category: around.trans.__('Migration') });
      }
    }
  }
};

function kinds(model: Model, around: Surroundings): Kind[] {
  const { trans } = around;
  return [
    {
      id: CommandIDs.openEvidence,
      name: 'evidence',
      label: trans.__('Open Evidence'),
      make: ({ migration, audit, run }) => {
        const widget = new EvidenceWidget(model.api, { migration, audit, run: run || undefined }, around);
        void widget.load();
        const again = (): void => void widget.load();
        model.finished.connect(again);
        widget.disposed.connect(() => model.finished.disconnect(again));
        return widget;
      }
    },
    {
      id: CommandIDs.history,
      name: 'history',
      label: trans.__('History and Comparison of Runs'),
      make: ({ migration }) => {
        const widget = new HistoryWidget(model.api, migration, around);
        void widget.load();
        return widget;
      }
    },
    {
      id: CommandIDs.openReport,
      name: 'report',
      label: trans.__('Open the Report'),
      make: ({ migration, audit, run }) => {
        // The report is a page of its own: it may run its own script and reach nothing of Lab's.
        const frame = new IFrame({ sandbox: ['allow-scripts', 'allow-downloads', 'allow-popups'], loading: 'eager' });
        frame.url = model.api.reportUrl(migration, audit || undefined, run || undefined);
        frame.title.label = audit ? trans.__('Report · %1', titled(audit)) : trans.__('Report');
        frame.node.querySelector('iframe')!.title = frame.title.label;
        return frame;
      }
    },
    {
      id: CommandIDs.openPreview,
      name: 'preview',
      label: trans.__('Open the Dashboard Preview'),
      caption: trans.__('What a reviewer will see, drawn from stored evidence'),
      make: ({ migration, audit }) => {
        const label = audit ? trans.__('Preview · %1', titled(audit)) : trans.__('Preview');
        const address = (page: string): string => model.api.previewUrl(migration, page);
        return new PreviewWidget(address, audit && `notebook/${audit}`, label);
      }
    }
  ];
}

function place(app: JupyterFrontEnd, model: Model, restorer: ILayoutRestorer | null, kind: Kind): void {
  const namespace = `migration-workbench-${kind.name}`;
  const tracker = new WidgetTracker<MainAreaWidget<Widget>>({ namespace });
  const known = new WeakMap<Widget, Args>();
  app.commands.addCommand(kind.id, {
    label: kind.label,
    caption: kind.caption ?? '',
    icon: migrationIcon,
    describedBy: { args: { type: 'object', properties: { audit: { type: 'string' }, run: { type: 'string' } } } },
    isEnabled: args => !!(args.migration || model.current),
    execute: given => {
      const args = completed(given, model.current);
      const id = `${namespace}-${args.migration}-${args.audit}-${args.run}`;
      let widget = tracker.find(one => one.id === id);
      if (!widget) {
        const content = kind.make(args);
        widget = new MainAreaWidget({ content, ...(content instanceof IFrame ? { reveal: loaded(content) } : {}) });
        widget.id = id;
        widget.toolbar.hide();
        widget.title.icon = migrationIcon;
        known.set(widget, args);
        void tracker.add(widget);
      }
      if (!widget.isAttached) {
        app.shell.add(widget, 'main', { type: 'Migration' });
      }
      app.shell.activateById(widget.id);
      return widget;
    }
  });
  void restorer?.restore(tracker, {
    command: kind.id,
    args: widget => known.get(widget) ?? {},
    name: widget => widget.id
  });
}

/** When the frame has its page: until then Lab shows that it is being loaded. */
function loaded(frame: IFrame): Promise<void> {
  const node = frame.node.querySelector('iframe')!;
  return new Promise(resolve => node.addEventListener('load', () => resolve(), { once: true }));
}

function completed(given: ReadonlyPartialJSONObject, current: string): Args {
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  return { migration: text(given.migration) || current, audit: text(given.audit), run: text(given.run) };
}
