import * as React from 'react';
import type { Pair as Laid } from '../server';
import { useTrans } from './context';

/** The pair plot: hollow dot = legacy, filled dot = candidate, whiskers = interval, band = inside the limit. */
export function Pair({ pair }: { pair: Laid }): React.JSX.Element {
  const [from, to] = pair.band ?? [0, 0];
  return (
    <svg className="mw-pair" width="250" height="42" viewBox="0 0 250 42" role="img" aria-label={pair.label}>
      {pair.band && <rect x={from} y={4} width={to - from} height={24} rx={3} className="mw-band" />}
      <line x1={8} x2={242} y1={29} y2={29} className="mw-axis" />
      {pair.edges.map(x => (
        <line key={x} x1={x} x2={x} y1={4} y2={29} className="mw-edge" />
      ))}
      {pair.same !== null && <line x1={pair.same} x2={pair.same} y1={3} y2={29} className="mw-same" />}
      {pair.dots.map(dot => (
        <g key={dot.role} className={dot.role === 'legacy' ? 'mw-old' : 'mw-new'}>
          <line x1={dot.low} x2={dot.high} y1={dot.y} y2={dot.y} />
          {dot.open_low && <path d={`M${dot.low + 5} ${dot.y - 3.5}L${dot.low} ${dot.y}l5 3.5`} />}
          {dot.open_high && <path d={`M${dot.high - 5} ${dot.y - 3.5}L${dot.high} ${dot.y}l-5 3.5`} />}
          <circle cx={dot.x} cy={dot.y} r={dot.role === 'legacy' ? 4.2 : 4.6} />
        </g>
      ))}
      <text x={8} y={40}>
        {pair.ends[0]}
      </text>
      <text x={242} y={40} textAnchor="end">
        {pair.ends[1]}
      </text>
    </svg>
  );
}

/** What the signs of the pair plot mean. */
export function Legend(): React.JSX.Element {
  const trans = useTrans();
  const sign = (inner: React.JSX.Element): React.JSX.Element => (
    <svg className="mw-pair mw-sign" width="22" height="12" viewBox="0 0 22 12" aria-hidden="true">
      {inner}
    </svg>
  );
  return (
    <p className="mw-legend">
      <span>
        {sign(<g className="mw-old"><line x1={1} x2={21} y1={6} y2={6} /><circle cx={11} cy={6} r={4.2} /></g>)}
        {trans.__('legacy, or as before')}
      </span>
      <span>
        {sign(<g className="mw-new"><line x1={1} x2={21} y1={6} y2={6} /><circle cx={11} cy={6} r={4.6} /></g>)}
        {trans.__('candidate, or the change')}
      </span>
      <span>
        {sign(<rect x={1} y={1} width={20} height={10} rx={2} className="mw-band" />)}
        {trans.__('inside the limit')}
      </span>
    </p>
  );
}
