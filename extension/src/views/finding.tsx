import { Clipboard, Dialog, showDialog } from '@jupyterlab/apputils';
import { Widget } from '@lumino/widgets';
import * as React from 'react';
import type { Api } from '../api';
import type { Grid as Laid, Row, Shown } from '../server';
import { Chart } from './chart';
import { useSurroundings } from './context';
import type { Which } from './evidence';
import { Pair } from './pair';
import { Prose, Sign } from './status';
import { waive } from './waive';

type Props = {
  row: Row;
  api: Api;
  link: string;
  waive: (Which & { run: string }) | null;
  waived: string;
  reload: () => void;
};

/** One finding: the line with its pair, and on demand why it matters, how to fix it, and what is behind it. */
export function Finding(props: Props): React.JSX.Element {
  const { row } = props;
  const { trans } = useSurroundings();
  const [open, setOpen] = React.useState(row.status === 'fail');
  return (
    <details className="mw-finding" open={open} onToggle={event => setOpen(event.currentTarget.open)}>
      <summary>
        <Sign status={row.status} />
        <span className="mw-what">
          <span className="mw-title">{row.title}</span>
          {row.under.map((parts, at) => (
            <span key={at} className="mw-faint">
              <Prose parts={parts} />
            </span>
          ))}
          {props.waived && <span className="mw-waived">{trans.__('accepted until %1', props.waived)}</span>}
        </span>
        <span className="mw-picture">{row.pair && <Pair pair={row.pair} />}</span>
        <span className="mw-number">
          <b className={`mw-s-${row.status}`}>{row.number}</b>
          {row.between && <span className="mw-faint">{row.between}</span>}
          {row.limit && <span className="mw-faint">{row.limit}</span>}
        </span>
      </summary>
      {open && <Body {...props} />}
    </details>
  );
}

function Body(props: Props): React.JSX.Element {
  const { row } = props;
  const { trans } = useSurroundings();
  const blocked = row.status === 'fail' || row.status === 'warn';
  return (
    <div className="mw-body">
      <div className="mw-prose">
        {row.why.length > 0 && (
          <div>
            <b>{trans.__('Why it matters.')}</b> <Prose parts={row.why} />
          </div>
        )}
        {row.fix.length > 0 && (
          <div>
            <b>{blocked ? trans.__('How to fix.') : trans.__('What to do.')}</b> <Prose parts={row.fix} />
          </div>
        )}
        <p className="mw-faint">{row.meta.join(' · ')}</p>
        <div className="mw-buttons">
          <button className="jp-mod-styled mw-button" onClick={() => void explained(props, trans.__('Close'))}>
            {trans.__('Explain')}
          </button>
          <button
            className="jp-mod-styled mw-button"
            onClick={() => Clipboard.copyToSystem(new URL(props.link, window.location.href).href)}
          >
            {trans.__('Copy link')}
          </button>
          {blocked && props.waive && (
            <button
              className="jp-mod-styled mw-button"
              onClick={() => void waive(props.api, props.waive!, row, trans).then(done => done && props.reload())}
            >
              {trans.__('Accept for a time …')}
            </button>
          )}
        </div>
      </div>
      <div>
        {row.measures && <Grid grid={row.measures} />}
        {row.details.map((detail, at) => (
          <Detail key={at} detail={detail} />
        ))}
      </div>
    </div>
  );
}

async function explained({ api, row }: Props, close: string): Promise<void> {
  const kind = await api.explain(row.id);
  await showDialog({
    title: kind.title,
    body: said(kind.why, kind.fix, [kind.id, kind.source].filter(Boolean).join(' · ')),
    buttons: [Dialog.okButton({ label: close })]
  });
}

/** Paragraphs of a dialog. Not drawn by React: Lab gives such a dialog no focus, so that Escape would not close it. */
function said(...paragraphs: string[]): Widget {
  const body = new Widget();
  body.addClass('mw');
  body.addClass('mw-explained');
  for (const text of paragraphs) {
    body.node.appendChild(document.createElement('p')).textContent = text;
  }
  body.node.lastElementChild?.classList.add('mw-faint');
  return body;
}

function Detail({ detail }: { detail: Shown }): React.JSX.Element {
  if (detail.type === 'chart' && detail.figure) {
    return (
      <figure>
        <figcaption>{detail.title}</figcaption>
        <Chart figure={detail.figure} title={detail.title} />
        {detail.grid && <Grid grid={detail.grid} folded />}
      </figure>
    );
  }
  return (
    <>
      {detail.prose && (
        <div>
          {detail.title && <b>{detail.title} </b>}
          <Prose parts={detail.prose} />
        </div>
      )}
      {detail.grid && <Grid grid={detail.grid} />}
      {detail.type === 'file' && <p className="mw-faint">{detail.title}</p>}
    </>
  );
}

/** A table in words. folded: behind a line to open, for the numbers beside a chart. */
export function Grid({ grid, folded }: { grid: Laid; folded?: boolean }): React.JSX.Element {
  const { trans } = useSurroundings();
  const table = (
    <div className="mw-scroll" tabIndex={0} role="group" aria-label={grid.title || trans.__('Table')}>
      <table>
        {grid.title && <caption>{grid.title}</caption>}
        <thead>
          <tr>
            {grid.columns.map((column, at) => (
              <th key={at} scope="col" className={grid.right[at] ? 'mw-right' : undefined}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {grid.rows.map((row, line) => (
            <tr key={line}>
              {row.map((cell, at) => (
                <td key={at} className={grid.right[at] ? 'mw-right' : undefined}>
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {grid.rows.length < grid.total && (
        <p className="mw-faint">{trans.__('%1 rows shown of %2', grid.rows.length, grid.total)}</p>
      )}
    </div>
  );
  return folded ? (
    <details className="mw-numbers">
      <summary>{trans.__('The numbers')}</summary>
      {table}
    </details>
  ) : (
    table
  );
}
