import { HTMLSelect, type LabIcon, ReactWidget, UseSignal, addIcon, refreshIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { CommandIDs } from '../ids';
import type { Model } from '../model';
import { active, shareOfAll } from '../progress';
import type { Job, Summary } from '../server';
import { clock, split } from '../words';
import { type Surroundings, Provided, useNow, useSurroundings } from './context';
import { Journey } from './journey';
import { Problem, Sign } from './status';

/** The left sidebar: pick a migration, see where it stands, run what is stale. */
export class Panel extends ReactWidget {
  constructor(
    private readonly model: Model,
    private readonly surroundings: Surroundings
  ) {
    super();
    this.addClass('mw-Panel');
    this.addClass('mw');
  }

  protected render(): React.JSX.Element {
    return (
      <Provided value={this.surroundings}>
        <UseSignal signal={this.model.changed}>{() => <Content model={this.model} />}</UseSignal>
      </Provided>
    );
  }

  protected onActivateRequest(): void {
    const first = this.node.querySelector<HTMLElement>('select, button');
    first?.focus();
  }
}

function Content({ model }: { model: Model }): React.JSX.Element {
  const { trans } = useSurroundings();
  const summary = model.summary;
  return (
    <>
      <Head model={model} />
      {model.problem && <Problem problem={model.problem} again={() => void model.refresh()} />}
      {!model.ready && !model.problem && <p className="mw-quiet">{trans.__('Looking for migrations …')}</p>}
      {model.ready && !summary && <Nothing />}
      {summary?.problem && <Unreadable summary={summary} />}
      {summary && !summary.problem && (
        <>
          <Verdict summary={summary} />
          <Buttons model={model} />
          <Running model={model} />
          <Journey model={model} />
        </>
      )}
      {model.truncated && (
        <p className="mw-quiet">
          {trans.__('There are too many folders here to look through: start JupyterLab nearer to the migration.')}
        </p>
      )}
    </>
  );
}

function Head({ model }: { model: Model }): React.JSX.Element {
  const { trans, commands } = useSurroundings();
  // After a reload the one that was at hand is known before the others are.
  const all = model.migrations.length || !model.summary ? model.migrations : [model.summary];
  return (
    <div className="mw-head">
      <HTMLSelect
        aria-label={trans.__('Migration')}
        value={model.current}
        disabled={!all.length}
        onChange={event => void model.select(event.target.value)}
      >
        {!all.length && <option value="">{trans.__('No migration')}</option>}
        {all.map(one => (
          <option key={one.id} value={one.id} title={one.path}>
            {labelled(one, all)}
          </option>
        ))}
      </HTMLSelect>
      <IconButton label={trans.__('New migration')} icon={addIcon} act={() => void commands.execute(CommandIDs.create)} />
      <IconButton label={trans.__('Refresh')} icon={refreshIcon} act={() => void model.refresh()} />
    </div>
  );
}

/** Two migrations of one name are told apart by their folders. */
function labelled(one: Summary, all: readonly Summary[]): string {
  const alone = all.filter(other => other.name === one.name).length === 1;
  return `${alone ? one.name : `${one.name} (${one.path || '/'})`} · ${one.brief}`;
}

/** A small button that is only an icon, named for who does not see it. */
export function IconButton(props: {
  label: string;
  icon: LabIcon;
  act: () => void;
  tabIndex?: number;
}): React.JSX.Element {
  return (
    <button
      className="mw-icon"
      title={props.label}
      aria-label={props.label}
      onClick={props.act}
      tabIndex={props.tabIndex}
    >
      <props.icon.react tag="span" />
    </button>
  );
}

function Nothing(): React.JSX.Element {
  const { trans, commands } = useSurroundings();
  return (
    <div className="mw-nothing">
      <p>{trans.__('No migration here yet.')}</p>
      <p className="mw-faint">
        {trans.__('Take a file with rows and the legacy model; the rest is proposed, with its reasons.')}
      </p>
      <button className="jp-mod-styled jp-mod-accept mw-button" onClick={() => void commands.execute(CommandIDs.create)}>
        {trans.__('New migration …')}
      </button>
    </div>
  );
}

function Unreadable({ summary }: { summary: Summary }): React.JSX.Element {
  const { trans, commands } = useSurroundings();
  return (
    <div className="mw-problem" role="alert">
      <p>
        <b>{trans.__('migration.yaml cannot be read.')}</b>
      </p>
      <p className="mw-lines">{summary.problem}</p>
      <button
        className="jp-mod-styled mw-button"
        onClick={() => void commands.execute(CommandIDs.openFile)}
      >
        {trans.__('Open migration.yaml')}
      </button>
    </div>
  );
}

function Verdict({ summary }: { summary: Summary }): React.JSX.Element {
  const [head, rest] = split(summary.sentence);
  return (
    <div className="mw-verdict">
      <p className={`mw-headline mw-s-${summary.status}`}>
        <Sign status={summary.status} />
        <span>{head}</span>
      </p>
      {rest && <p className="mw-faint">{rest}</p>}
    </div>
  );
}

function Buttons({ model }: { model: Model }): React.JSX.Element {
  const { trans, commands } = useSurroundings();
  const due = model.due.length;
  const elsewhere = model.summary?.active && !active(model.job) ? model.summary.active.holder : '';
  const button = (command: string, label: string, more = '', off = false): React.JSX.Element => (
    <button
      className={`jp-mod-styled mw-button ${more}`}
      title={commands.caption(command)}
      disabled={off}
      onClick={() => void commands.execute(command)}
    >
      {label}
    </button>
  );
  return (
    <>
      <div className="mw-buttons" role="group" aria-label={trans.__('Migration')}>
        {active(model.job)
          ? button(CommandIDs.stop, model.job.state === 'stopping' ? trans.__('Kill') : trans.__('Stop'), 'jp-mod-warn')
          : button(
              due ? CommandIDs.runStale : CommandIDs.runAll,
              due ? trans.__('Run %1', due) : trans.__('Run all again'),
              due ? 'jp-mod-accept' : '',
              !!elsewhere
            )}
        {button(CommandIDs.openReport, trans.__('Report'), '', !model.journey?.report)}
        {button(CommandIDs.openPreview, trans.__('Preview'), '', !model.summary?.last_run)}
        {button(CommandIDs.history, trans.__('History'))}
      </div>
      {elsewhere && <p className="mw-quiet">{trans.__('Being written by %1.', elsewhere)}</p>}
    </>
  );
}

function Running({ model }: { model: Model }): React.JSX.Element | null {
  const job = model.job;
  return active(job) ? <Bar model={model} job={job} /> : job ? <Ended job={job} /> : null;
}

function Bar({ model, job }: { model: Model; job: Job }): React.JSX.Element {
  const { trans } = useSurroundings();
  const now = useNow(1000);
  const since = Math.max(0, (now - model.jobSeen) / 1000);
  const told = job.of ? trans.__('%1 of %2 notebooks', job.done, job.of) : trans.__('Starting …');
  const parts = [job.state === 'stopping' ? trans.__('Stopping …') : told, clock(job.elapsed + since)];
  if (job.left !== null && job.left > since) {
    parts.push(trans.__('about %1 left', clock(job.left - since)));
  }
  const percent = Math.round(100 * shareOfAll(job));
  return (
    <div className="mw-running">
      <div
        className="mw-bar"
        role="progressbar"
        aria-label={trans.__('Run')}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent}
      >
        <b style={{ width: `${percent}%` }} />
      </div>
      <p className="mw-faint">{parts.join(' · ')}</p>
      <p className="mw-hide" role="status">
        {told}
      </p>
    </div>
  );
}

function Ended({ job }: { job: Job }): React.JSX.Element | null {
  const { trans } = useSurroundings();
  if (job.state === 'done') {
    return (
      <p className="mw-hide" role="status">
        {trans.__('The run has ended.')}
      </p>
    );
  }
  const head = job.state === 'stopped' ? trans.__('Stopped: what was finished is kept.') : trans.__('The run broke.');
  return (
    <div className="mw-ended" role="status">
      <p>{head}</p>
      {job.sentence && job.state !== 'stopped' && <p className="mw-faint mw-lines">{job.sentence}</p>}
    </div>
  );
}
