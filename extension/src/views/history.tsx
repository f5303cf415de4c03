import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';
import * as React from 'react';
import type { Api } from '../api';
import { ApiError } from '../api';
import { CommandIDs } from '../ids';
import type { Comparison, Row, Run } from '../server';
import { clock, moment, runNumber, titled } from '../words';
import { type Surroundings, Provided, useSurroundings } from './context';
import { Problem, Sign } from './status';

/** The runs of one migration, and what changed from one to another. */
export class HistoryWidget extends ReactWidget {
  constructor(
    private readonly api: Api,
    readonly migration: string,
    private readonly surroundings: Surroundings
  ) {
    super();
    this.addClass('mw');
    this.addClass('mw-History');
    this.node.tabIndex = -1;
    this.title.label = surroundings.trans.__('Runs');
  }

  async load(): Promise<void> {
    await this.guarded(async () => {
      this.runs = (await this.api.runs(this.migration)).runs;
    });
  }

  protected render(): React.JSX.Element {
    return (
      <Provided value={this.surroundings}>
        <UseSignal signal={this._changed}>
          {() => (
            <div className="mw-sheet">
              <h1>{this.surroundings.trans.__('Runs')}</h1>
              {this.problem && <Problem problem={this.problem} again={() => void this.load()} />}
              {this.runs && <Runs runs={this.runs} compare={(before, after) => void this.compare(before, after)} />}
              {this.compared && <Compared found={this.compared} />}
            </div>
          )}
        </UseSignal>
      </Provided>
    );
  }

  private async compare(before: string, after: string): Promise<void> {
    await this.guarded(async () => {
      this.compared = await this.api.compare(this.migration, before, after);
    });
  }

  private async guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.problem = null;
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      this.problem = error;
    }
    this._changed.emit();
  }

  private runs: Run[] | null = null;
  private compared: Comparison | null = null;
  private problem: ApiError | null = null;
  private _changed = new Signal<this, void>(this);
}

function Runs(props: { runs: readonly Run[]; compare: (before: string, after: string) => void }): React.JSX.Element {
  const { trans, commands } = useSurroundings();
  const done = props.runs.filter(run => run.state === 'done');
  const [after, setAfter] = React.useState(done[0]?.run ?? '');
  const [before, setBefore] = React.useState(done[1]?.run ?? '');
  const radio = (name: string, run: Run, at: string, set: (run: string) => void): React.JSX.Element => (
    <input
      type="radio"
      name={name}
      aria-label={`${name}: ${trans.__('run %1', runNumber(run.run))}`}
      disabled={run.state !== 'done'}
      checked={at === run.run}
      onChange={() => set(run.run)}
    />
  );
  if (!props.runs.length) {
    return <p className="mw-quiet">{trans.__('Nothing was run yet.')}</p>;
  }
  return (
    <>
      <div className="mw-scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">{trans.__('run')}</th>
              <th scope="col">{trans.__('started')}</th>
              <th scope="col">{trans.__('took')}</th>
              <th scope="col">{trans.__('state')}</th>
              <th scope="col">{trans.__('notebooks')}</th>
              <th scope="col">{trans.__('before')}</th>
              <th scope="col">{trans.__('after')}</th>
              <th scope="col">{trans.__('report')}</th>
            </tr>
          </thead>
          <tbody>
            {props.runs.map(run => (
              <tr key={run.run}>
                <th scope="row">{runNumber(run.run)}</th>
                <td>{moment(run.started)}</td>
                <td>{run.seconds === null ? '–' : clock(run.seconds)}</td>
                <td title={run.reason}>{stated(run, trans.__('done'), trans.__('running'), trans.__('broke off'))}</td>
                <td>{run.parts.length}</td>
                <td>{radio(trans.__('before'), run, before, setBefore)}</td>
                <td>{radio(trans.__('after'), run, after, setAfter)}</td>
                <td>
                  {run.report && (
                    <button
                      className="jp-mod-styled mw-button"
                      onClick={() => void commands.execute(CommandIDs.openReport, { run: run.run })}
                    >
                      {trans.__('Open')}
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div className="mw-buttons">
        <button
          className="jp-mod-styled jp-mod-accept mw-button"
          disabled={!before || !after || before === after}
          onClick={() => props.compare(before, after)}
        >
          {trans.__('Compare')}
        </button>
      </div>
    </>
  );
}

function stated(run: Run, done: string, running: string, crashed: string): string {
  return { done, running, crashed }[run.state];
}

function Compared({ found }: { found: Comparison }): React.JSX.Element {
  const { trans } = useSurroundings();
  const words = {
    worse: trans.__('worse'),
    better: trans.__('better'),
    changed: trans.__('other numbers'),
    new: trans.__('new'),
    gone: trans.__('gone')
  };
  const title = trans.__('From run %1 to run %2', runNumber(found.before), runNumber(found.after));
  return (
    <section className="mw-group" aria-label={title}>
      <h2>
        <span>{title}</span>
        <span className="mw-faint">{trans.__('%1 changed, %2 equal', found.changes.length, found.same)}</span>
      </h2>
      {found.problems.map(problem => (
        <p key={problem} className="mw-quiet">
          {problem}
        </p>
      ))}
      <div className="mw-scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">{trans.__('finding')}</th>
              <th scope="col">{trans.__('moved')}</th>
              <th scope="col">{trans.__('before')}</th>
              <th scope="col">{trans.__('after')}</th>
            </tr>
          </thead>
          <tbody>
            {found.changes.map(change => (
              <tr key={`${change.audit} ${change.key}`}>
                <th scope="row">
                  {change.title} <span className="mw-faint">{`${titled(change.audit)} · ${change.key}`}</span>
                </th>
                <td>{words[change.moved]}</td>
                <td>
                  <Side row={change.before as Row | null} />
                </td>
                <td>
                  <Side row={change.after as Row | null} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Side({ row }: { row: Row | null }): React.JSX.Element {
  return row ? (
    <span className="mw-side">
      <Sign status={row.status} />
      {row.number} <span className="mw-faint">{row.between}</span>
    </span>
  ) : (
    <>–</>
  );
}
