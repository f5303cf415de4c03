import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';
import * as React from 'react';
import type { Api, EvidenceView } from '../api';
import { ApiError } from '../api';
import { CommandIDs } from '../ids';
import type { Row, Status } from '../server';
import { moment, runNumber, split, statusWord, titled } from '../words';
import { type Surroundings, Provided, useSurroundings } from './context';
import { Finding } from './finding';
import { Legend } from './pair';
import { Problem, Sign } from './status';

/** Which evidence: of one audit, the newest or that of one run. */
export type Which = { migration: string; audit: string; run?: string };

/** The findings of one audit: filter, drill down, explain, copy a link, waive. */
export class EvidenceWidget extends ReactWidget {
  constructor(
    private readonly api: Api,
    readonly which: Which,
    private readonly surroundings: Surroundings
  ) {
    super();
    this.addClass('mw');
    this.addClass('mw-Evidence');
    this.node.tabIndex = -1;
    this.title.label = titled(which.audit);
  }

  /** The evidence, its waivers and whether one can be added; read again when something ran. */
  async load(): Promise<void> {
    const { migration, audit, run } = this.which;
    try {
      const view = await this.api.evidence(migration, audit, run);
      const rows = await this.api.findings(migration, audit, run);
      const { ledger } = await this.api.about();
      const waived = new Map(rows.findings.flatMap(row => (row.waived ? [[row.key, row.waived] as const] : [])));
      this.shown = { view, waived, ledger };
      this.title.label = `${titled(audit)} · ${this.surroundings.trans.__('run %1', runNumber(view.run))}`;
      this.title.caption = view.evidence.question;
      this.problem = null;
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      this.problem = error;
    }
    this._loaded.emit();
  }

  /** After a decision the verdict is another one, here and in the panel. */
  private async decided(): Promise<void> {
    await this.load();
    await this.surroundings.commands.execute(CommandIDs.refresh);
  }

  protected render(): React.JSX.Element {
    return (
      <Provided value={this.surroundings}>
        <UseSignal signal={this._loaded}>
          {() => (
            <div className="mw-sheet">
              {this.problem && <Problem problem={this.problem} again={() => void this.load()} />}
              {this.shown && (
                <Page api={this.api} which={this.which} shown={this.shown} reload={() => void this.decided()} />
              )}
            </div>
          )}
        </UseSignal>
      </Provided>
    );
  }

  private shown: Shown | null = null;
  private problem: ApiError | null = null;
  private _loaded = new Signal<this, void>(this);
}

type Shown = { view: EvidenceView; waived: ReadonlyMap<string, string>; ledger: boolean };

type Inside = { api: Api; which: Which; shown: Shown; reload: () => void };

function Page(props: Inside): React.JSX.Element {
  const { view } = props.shown;
  const { trans } = useSurroundings();
  const [text, setText] = React.useState('');
  const [off, setOff] = React.useState<ReadonlySet<Status>>(new Set());
  const groups = view.groups
    .filter(group => !off.has(group.status))
    .map(group => ({ ...group, rows: group.rows.filter(row => matches(row, text)) }))
    .filter(group => group.rows.length);
  const [head, rest] = split(view.sentence);
  return (
    <>
      <p className="mw-faint">{view.evidence.question}</p>
      <h1>
        <Sign status={view.status} />
        <span>{head}</span>
      </h1>
      {rest && <p className="mw-soft">{rest}</p>}
      <p className="mw-faint">
        {moment(view.evidence.started)} {!view.fresh && `· ${trans.__('stale: something it depends on has changed')}`}
      </p>
      <Filter view={view} text={text} setText={setText} off={off} setOff={setOff} />
      {groups.some(group => group.rows.some(row => row.pair)) && <Legend />}
      {groups.map(group => (
        <section key={group.status} className="mw-group" aria-label={group.title}>
          <h2>
            <span>{group.title}</span>
            <span className="mw-faint">{trans.__('%1 of %2', group.rows.length, group.total)}</span>
          </h2>
          {group.rows.map(row => (
            <Finding
              key={row.key}
              row={row}
              api={props.api}
              link={props.api.reportUrl(props.which.migration, props.which.audit, view.run) + `#${row.anchor}`}
              waive={props.shown.ledger ? { ...props.which, run: view.run } : null}
              waived={props.shown.waived.get(row.key) ?? ''}
              reload={props.reload}
            />
          ))}
        </section>
      ))}
      {!groups.length && <p className="mw-quiet">{trans.__('No finding matches.')}</p>}
    </>
  );
}

function matches(row: Row, text: string): boolean {
  const all = [row.key, row.title, row.number, ...row.under.flat().map(part => part.text)].join(' ').toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every(word => all.includes(word));
}

function Filter(props: {
  view: EvidenceView;
  text: string;
  setText: (text: string) => void;
  off: ReadonlySet<Status>;
  setOff: (off: ReadonlySet<Status>) => void;
}): React.JSX.Element {
  const { trans } = useSurroundings();
  const flip = (status: Status): void => {
    const next = new Set(props.off);
    if (!next.delete(status)) {
      next.add(status);
    }
    props.setOff(next);
  };
  return (
    <div className="mw-filter" role="search">
      <input
        type="search"
        className="jp-mod-styled"
        placeholder={trans.__('Filter findings')}
        aria-label={trans.__('Filter findings')}
        value={props.text}
        onChange={event => props.setText(event.target.value)}
      />
      {props.view.groups.map(group => (
        <button
          key={group.status}
          className="mw-chip"
          aria-pressed={!props.off.has(group.status)}
          onClick={() => flip(group.status)}
        >
          <Sign status={group.status} />
          {group.total} {statusWord(group.status, trans)}
        </button>
      ))}
    </div>
  );
}
