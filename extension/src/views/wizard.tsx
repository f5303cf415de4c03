import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';
import type { Draft } from '../draft';
import type { Proposal, Summary } from '../server';
import { type Surroundings, Provided, useSurroundings } from './context';
import { Choices, Reasons } from './proposal';
import { Problem } from './status';

/** Opens a file dialog; an empty list where the person changed their mind. */
export type Pick = (title: string, folder: string) => Promise<string[]>;

/** From two files to a migration: what is proposed, how sure that is, and why. */
export class Wizard extends ReactWidget {
  constructor(
    readonly draft: Draft,
    private readonly pick: Pick,
    private readonly created: (summary: Summary, run: boolean) => void,
    private readonly surroundings: Surroundings
  ) {
    super();
    this.addClass('mw');
    this.addClass('mw-Wizard');
    this.node.tabIndex = -1;
  }

  protected render(): React.JSX.Element {
    return (
      <Provided value={this.surroundings}>
        <UseSignal signal={this.draft.changed}>
          {() => <Steps draft={this.draft} pick={this.pick} created={this.created} />}
        </UseSignal>
      </Provided>
    );
  }
}

function Steps(props: {
  draft: Draft;
  pick: Pick;
  created: (summary: Summary, run: boolean) => void;
}): React.JSX.Element {
  const { draft } = props;
  const { trans } = useSurroundings();
  const proposal = draft.proposal;
  const create = async (run: boolean): Promise<void> => {
    const summary = await draft.create();
    if (summary) {
      props.created(summary, run);
    }
  };
  return (
    <div className="mw-sheet" aria-busy={draft.busy !== ''}>
      <p className="mw-faint">{trans.__('Prove that a move to PyTorch is safe')}</p>
      <h1>{proposal ? trans.__('New migration: %1', proposal.name) : trans.__('New migration')}</h1>
      <Files draft={draft} pick={props.pick} />
      {draft.busy === 'looking' && (
        <p className="mw-looking" role="status">
          <span className="mw-turning" aria-hidden="true" />
          {trans.__('Reading the rows and asking the model about a sample of them …')}
        </p>
      )}
      {draft.problem && <Problem problem={draft.problem} />}
      {proposal && !draft.busy && <Proposed draft={draft} proposal={proposal} />}
      {proposal && <Confirm draft={draft} proposal={proposal} create={create} />}
    </div>
  );
}

function Files({ draft, pick }: { draft: Draft; pick: Pick }): React.JSX.Element {
  const { trans } = useSurroundings();
  const near = draft.model || draft.data[0] || '';
  const folder = near.slice(0, Math.max(0, near.lastIndexOf('/')));
  const ask = async (what: 'data' | 'model'): Promise<void> => {
    const title = what === 'data' ? trans.__('Rows both models are judged on') : trans.__('The legacy model');
    const found = await pick(title, folder);
    if (found.length) {
      await (what === 'data' ? draft.choose(found, draft.model) : draft.choose(draft.data, found[0]));
    }
  };
  return (
    <section className="mw-files" aria-label={trans.__('Files')}>
      <File
        label={trans.__('Rows to judge on')}
        hint={trans.__('Best a holdout: rows the legacy model was not trained on.')}
        value={draft.data}
        beside={draft.beside.data}
        choose={one => void draft.choose([one], draft.model)}
        browse={() => void ask('data')}
      />
      <File
        label={trans.__('Legacy model')}
        hint={trans.__('It is opened in a process of its own, and never changed.')}
        value={draft.model ? [draft.model] : []}
        beside={draft.beside.models}
        choose={one => void draft.choose(draft.data, one)}
        browse={() => void ask('model')}
      />
    </section>
  );
}

function File(props: {
  label: string;
  hint: string;
  value: readonly string[];
  beside: readonly string[];
  choose: (path: string) => void;
  browse: () => void;
}): React.JSX.Element {
  const { trans } = useSurroundings();
  const id = React.useId();
  const others = props.beside.filter(path => !props.value.includes(path));
  const options = [...props.value.slice(0, 1), ...others];
  return (
    <div className="mw-file">
      <label htmlFor={id}>{props.label}</label>
      <div className="mw-choice">
        <select
          id={id}
          className="mw-select"
          value={props.value[0] ?? ''}
          onChange={event => event.target.value && props.choose(event.target.value)}
        >
          {!props.value.length && <option value="">{trans.__('Choose …')}</option>}
          {options.map(path => (
            <option key={path} value={path}>
              {path}
            </option>
          ))}
        </select>
        <button className="jp-mod-styled mw-button" onClick={props.browse}>
          {trans.__('Browse …')}
        </button>
      </div>
      <p className="mw-faint">
        {props.value.length > 1 ? trans.__('and %1 more files', props.value.length - 1) : props.hint}
      </p>
    </div>
  );
}

function Proposed({ draft, proposal }: { draft: Draft; proposal: Proposal }): React.JSX.Element {
  const { trans } = useSurroundings();
  return (
    <>
      <Choices draft={draft} proposal={proposal} />
      <Reasons proposal={proposal} />
      <details className="mw-yaml">
        <summary>{trans.__('migration.yaml as it will be written')}</summary>
        <pre tabIndex={0}>{proposal.text}</pre>
      </details>
    </>
  );
}

function Confirm(props: {
  draft: Draft;
  proposal: Proposal;
  create: (run: boolean) => Promise<void>;
}): React.JSX.Element {
  const { trans } = useSurroundings();
  const unsure = props.proposal.unsure;
  const busy = props.draft.busy !== '';
  return (
    <div className="mw-confirm">
      <p>
        {unsure.length ? trans.__('A guess, please look: %1.', unsure.join(', ')) : trans.__('Nothing in it is a guess.')}{' '}
        <span className="mw-faint">{trans.__('It is written to %1.', `${props.proposal.folder}/migration.yaml`)}</span>
      </p>
      <div className="mw-buttons">
        <button
          className="jp-mod-styled jp-mod-accept mw-button"
          disabled={busy}
          onClick={() => void props.create(true)}
        >
          {trans.__('Create and run')}
        </button>
        <button className="jp-mod-styled mw-button" disabled={busy} onClick={() => void props.create(false)}>
          {trans.__('Create only')}
        </button>
      </div>
    </div>
  );
}
