import * as React from 'react';
import type { Change, Draft } from '../draft';
import type { Proposal } from '../server';
import { useSurroundings } from './context';

type Value = Proposal['values'][number];

const TASKS = ['binary', 'multiclass', 'regression'] as const;

/** The few things of a proposal that only a person can know, each with what was proposed. */
export function Choices({ draft, proposal }: { draft: Draft; proposal: Proposal }): React.JSX.Element {
  const { trans } = useSurroundings();
  const found = (key: string): unknown => proposal.values.find(value => value.key === key)?.value;
  const target = String(found('task.target') ?? '');
  const change = (what: Change): void => void draft.change(what);
  return (
    <section className="mw-choices" aria-label={trans.__('What only you can know')}>
      <Select
        label={trans.__('Column that holds the truth')}
        value={target}
        options={proposal.columns}
        choose={value => change({ target: value, positive: undefined, task: undefined })}
      />
      <Select
        label={trans.__('Task')}
        value={String(found('task.kind') ?? '')}
        options={TASKS}
        choose={value => change({ task: value as (typeof TASKS)[number] })}
      />
      <Protected
        columns={proposal.columns.filter(column => column !== target)}
        chosen={listed(found('roles.protected'))}
        choose={value => change({ protected: value })}
      />
    </section>
  );
}

function listed(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : value ? [String(value)] : [];
}

function Select(props: {
  label: string;
  value: string;
  options: readonly string[];
  choose: (value: string) => void;
}): React.JSX.Element {
  const id = React.useId();
  return (
    <div className="mw-file">
      <label htmlFor={id}>{props.label}</label>
      <select
        id={id}
        className="mw-select"
        value={props.value}
        onChange={event => props.choose(event.target.value)}
      >
        {!props.options.includes(props.value) && <option value={props.value}>{props.value || '–'}</option>}
        {props.options.map(option => (
          <option key={option} value={option}>
            {option}
          </option>
        ))}
      </select>
    </div>
  );
}

function Protected(props: {
  columns: readonly string[];
  chosen: readonly string[];
  choose: (value: string[]) => void;
}): React.JSX.Element {
  const { trans } = useSurroundings();
  const legend = React.useId();
  return (
    <div className="mw-file" role="group" aria-labelledby={legend}>
      <span id={legend} className="mw-label">
        {trans.__('No group of these may fare worse')}
      </span>
      <details className="mw-columns">
        <summary>{props.chosen.length ? props.chosen.join(', ') : trans.__('none')}</summary>
        <div>
          {props.columns.map(column => (
            <label key={column}>
              <input
                type="checkbox"
                checked={props.chosen.includes(column)}
                onChange={event =>
                  props.choose(
                    event.target.checked ? [...props.chosen, column] : props.chosen.filter(one => one !== column)
                  )
                }
              />
              {column}
            </label>
          ))}
        </div>
      </details>
    </div>
  );
}

/** Every value with how sure it is, in a shape and a word, and why. */
export function Reasons({ proposal }: { proposal: Proposal }): React.JSX.Element {
  const { trans } = useSurroundings();
  return (
    <table className="mw-reasons">
      <caption>{trans.__('What is proposed, and why')}</caption>
      <thead>
        <tr>
          <th scope="col">{trans.__('value')}</th>
          <th scope="col">{trans.__('how sure')}</th>
          <th scope="col">{trans.__('why')}</th>
        </tr>
      </thead>
      <tbody>
        {proposal.values.map(value => (
          <tr key={value.key}>
            <th scope="row">
              <code>{value.key}</code>
              <span className="mw-value">{shown(value.value)}</span>
            </th>
            <td>
              <Sure value={value} />
            </td>
            <td className="mw-lines">{value.why}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Sure({ value }: { value: Value }): React.JSX.Element {
  const { trans } = useSurroundings();
  const words = { given: trans.__('given'), high: trans.__('sure'), medium: trans.__('likely'), low: trans.__('guessed') };
  const signs = { given: '=', high: '✓', medium: '≈', low: '!' };
  return (
    <span className={`mw-sure mw-sure-${value.confidence}`}>
      <span aria-hidden="true">{signs[value.confidence]}</span> {words[value.confidence]}
    </span>
  );
}

function shown(value: unknown): string {
  if (value === null || value === undefined) {
    return '–';
  }
  if (Array.isArray(value)) {
    return value.length ? value.map(shown).join(', ') : '–';
  }
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
