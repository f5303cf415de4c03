import { notebookIcon, runIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { CommandIDs } from '../ids';
import type { Model } from '../model';
import { active, share } from '../progress';
import type { Chapter, Notebook, Progress } from '../server';
import { age, clock, sentenceOf, titled } from '../words';
import { useNow, useSurroundings } from './context';
import { IconButton } from './panel';
import { Sign } from './status';

/** The six chapters, each notebook with its status, verdict and age; arrow keys go from row to row. */
export function Journey({ model }: { model: Model }): React.JSX.Element {
  const { trans } = useSurroundings();
  const [at, setAt] = React.useState('');
  const list = React.useRef<HTMLDivElement>(null);
  const chapters = model.journey?.chapters ?? [];
  const shown = chapters.filter(chapter => chapter.notebooks.length);
  const first = shown[0]?.notebooks[0]?.notebook ?? '';
  const here = shown.some(chapter => chapter.notebooks.some(one => one.notebook === at)) ? at : first;
  return (
    <div
      className="mw-journey"
      ref={list}
      role="navigation"
      aria-label={trans.__('The journey')}
      onKeyDown={event => roved(event, list.current!)}
    >
      {chapters.map(chapter =>
        chapter.notebooks.length ? (
          <Stage key={chapter.number} chapter={chapter} model={model} here={here} enter={setAt} />
        ) : (
          <Empty key={chapter.number} chapter={chapter} />
        )
      )}
    </div>
  );
}

/** Up and down between rows, left and right within one, Home and End to the ends. */
function roved(event: React.KeyboardEvent, list: HTMLElement): void {
  const rows = [...list.querySelectorAll<HTMLElement>('.mw-nb')];
  const focused = document.activeElement as HTMLElement;
  const row = rows.findIndex(one => one.contains(focused));
  const within = row < 0 ? [] : [...rows[row].querySelectorAll<HTMLElement>('button')];
  const next: Record<string, HTMLElement | undefined> = {
    ArrowDown: rows[row + 1]?.querySelector('button') ?? undefined,
    ArrowUp: rows[row - 1]?.querySelector('button') ?? undefined,
    Home: rows[0]?.querySelector('button') ?? undefined,
    End: rows[rows.length - 1]?.querySelector('button') ?? undefined,
    ArrowRight: within[within.indexOf(focused) + 1],
    ArrowLeft: within[within.indexOf(focused) - 1]
  };
  if (event.key in next) {
    event.preventDefault();
    next[event.key]?.focus();
  }
}

function Empty({ chapter }: { chapter: Chapter }): React.JSX.Element {
  return (
    <section className="mw-chapter mw-without">
      <h3>
        <span>{chapter.number ? `${chapter.number} ${chapter.title}` : chapter.title}</span>
        <Sign status={chapter.status} />
      </h3>
      <p className="mw-quiet">{chapter.sentence}</p>
    </section>
  );
}

function Stage(props: {
  chapter: Chapter;
  model: Model;
  here: string;
  enter: (notebook: string) => void;
}): React.JSX.Element {
  const { chapter, model } = props;
  const running = active(model.job) ? model.job.notebooks : [];
  return (
    <section className="mw-chapter">
      <h3 title={chapter.sentence}>
        <span>{chapter.number ? `${chapter.number} ${chapter.title}` : chapter.title}</span>
        <Sign status={chapter.status} />
      </h3>
      <ul>
        {chapter.notebooks.map(one => (
          <Row
            key={one.notebook}
            notebook={one}
            progress={running.find(other => other.notebook === one.notebook && other.state === 'running')}
            model={model}
            here={props.here === one.notebook}
            enter={props.enter}
          />
        ))}
      </ul>
    </section>
  );
}

function Row(props: {
  notebook: Notebook;
  progress: Progress | undefined;
  model: Model;
  here: boolean;
  enter: (notebook: string) => void;
}): React.JSX.Element {
  const { notebook, progress } = props;
  const { trans, commands } = useSurroundings();
  const now = useNow(progress ? 1000 : 60_000);
  const tab = props.here ? 0 : -1;
  const args = { audit: notebook.audit, notebook: notebook.notebook };
  const name = titled(notebook.audit);
  const open = notebook.run ? CommandIDs.openEvidence : CommandIDs.openNotebook;
  return (
    <li className="mw-nb" onFocus={() => props.enter(notebook.notebook)} data-notebook={notebook.notebook}>
      <button
        className="mw-row"
        tabIndex={tab}
        title={`${notebook.question}\n${notebook.sentence}`}
        onClick={() => void commands.execute(open, args)}
      >
        {progress ? <span className="mw-turning" aria-hidden="true" /> : <Sign status={notebook.status} />}
        <span className="mw-name">{name}</span>
        <span className="mw-faint mw-age">
          {progress
            ? clock(progress.elapsed + Math.max(0, (now - props.model.jobSeen) / 1000))
            : notebook.started && age(notebook.started, now, trans)}
        </span>
        {progress ? <Cells progress={progress} /> : <Told notebook={notebook} />}
      </button>
      <span className="mw-acts">
        <IconButton
          label={trans.__('Run %1', name)}
          icon={runIcon}
          tabIndex={tab}
          act={() => void commands.execute(CommandIDs.run, { ...args, force: notebook.fresh })}
        />
        <IconButton
          label={trans.__('Open the notebook of %1', name)}
          icon={notebookIcon}
          tabIndex={tab}
          act={() => void commands.execute(CommandIDs.openNotebook, args)}
        />
      </span>
    </li>
  );
}

function Told({ notebook }: { notebook: Notebook }): React.JSX.Element {
  const { trans } = useSurroundings();
  const lines = notebook.missing.length ? notebook.missing.join(' ') : sentenceOf(notebook.sentence);
  return (
    <span className="mw-told">
      {notebook.stale && <span className="mw-stale">{trans.__('stale')}</span>}
      {lines}
    </span>
  );
}

function Cells({ progress }: { progress: Progress }): React.JSX.Element {
  const { trans } = useSurroundings();
  const cell = progress.cell ? trans.__('Cell %1 of %2', progress.cell, progress.of) : trans.__('Starting …');
  return (
    <>
      <span className="mw-bar">
        <b style={{ width: `${100 * share(progress)}%` }} />
      </span>
      <span className="mw-told">{[cell, progress.title].filter(Boolean).join(' · ')}</span>
    </>
  );
}
