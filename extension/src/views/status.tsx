import * as React from 'react';
import type { ApiError } from '../api';
import type { Prose as Part, Status } from '../server';
import { statusWord } from '../words';
import { useTrans } from './context';

const SHAPES: Record<Status, React.JSX.Element> = {
  pass: (
    <>
      <circle cx="8" cy="8" r="7" fill="currentColor" />
      <path d="M4.6 8.3l2.3 2.3 4.5-4.9" className="mw-cut" />
    </>
  ),
  warn: (
    <>
      <path d="M8 1.2l7.2 13.2H.8z" fill="currentColor" />
      <path d="M8 6v4M8 11.6v1.4" className="mw-cut" />
    </>
  ),
  fail: (
    <>
      <path d="M5 .8h6L15.2 5v6L11 15.2H5L.8 11V5z" fill="currentColor" />
      <path d="M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2" className="mw-cut" />
    </>
  ),
  manual: (
    <>
      <circle cx="8" cy="8" r="7" fill="none" stroke="currentColor" strokeWidth="1.6" />
      <circle cx="8" cy="6.2" r="2.1" fill="currentColor" />
      <path d="M4.2 12.4c.6-2.4 2-3.3 3.8-3.3s3.2.9 3.8 3.3" fill="currentColor" />
    </>
  ),
  absent: <circle cx="8" cy="8" r="6.8" fill="none" stroke="currentColor" strokeWidth="1.6" strokeDasharray="3 2.3" />,
  error: (
    <>
      <rect x="1.2" y="1.2" width="13.6" height="13.6" rx="1.6" fill="currentColor" />
      <path d="M8 3.8v5M8 10.6v1.6" className="mw-cut" />
    </>
  ),
  info: (
    <>
      <circle cx="8" cy="8" r="7" fill="none" stroke="currentColor" strokeWidth="1.6" />
      <path d="M8 7.2v4.4M8 4.2v1.5" stroke="currentColor" strokeWidth="1.7" fill="none" />
    </>
  )
};

/** A status as shape and colour; the word is beside it, or there for who does not see it. */
export function Sign({ status, word }: { status: Status; word?: boolean }): React.JSX.Element {
  const said = statusWord(status, useTrans());
  return (
    <span className={`mw-status mw-s-${status}`} title={word ? undefined : said}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        {SHAPES[status]}
      </svg>
      <span className={word ? undefined : 'mw-hide'}>{said}</span>
    </span>
  );
}

/** Text with code in it. */
export function Prose({ parts }: { parts: readonly Part[] }): React.JSX.Element {
  return (
    <>
      {parts.map((part, at) =>
        part.kind === 'block' ? (
          <pre key={at} tabIndex={0}>
            {part.text}
          </pre>
        ) : part.kind === 'inline' ? (
          <code key={at}>{part.text}</code>
        ) : (
          <span key={at} className="mw-text">
            {part.text}
          </span>
        )
      )}
    </>
  );
}

/** What was refused, what was seen, and what to do; with a way to try again. */
export function Problem({ problem, again }: { problem: ApiError; again?: () => void }): React.JSX.Element {
  const trans = useTrans();
  return (
    <div className="mw-problem" role="alert">
      <p>
        <b>{problem.what}</b>
      </p>
      {problem.seen && <p className="mw-faint">{problem.seen}</p>}
      {problem.todo && <p>{problem.todo}</p>}
      {again && (
        <button className="jp-mod-styled mw-button" onClick={again}>
          {trans.__('Try again')}
        </button>
      )}
    </div>
  );
}
