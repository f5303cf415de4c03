// Generated from evidence.schema.json by generate.py: do not edit.

/** One of six kinds, drawn by `render`. The title says what the chart shows; axes carry units. interval: y is the value with low/high whiskers, x the names (drawn lying). heat: each series is a row of the map. hist: x are the bin centres, y the shares. */
export type Chart = {
  type: 'chart';
  kind: 'bar' | 'line' | 'scatter' | 'interval' | 'heat' | 'hist';
  title: string;
  x: string;
  y: string;
  series: Series[];
  log: boolean;
};

/** A file beside the evidence, named relative to it. */
export type File = {
  type: 'file';
  title: string;
  path: string;
  sha256: string;
  media: string;
};

/** One thing an audit found: the pair, the change between them, and what it means. id: stable and documented ("bias/selection-rate-gap"); subject: what of ("sex", "income"), "" for the whole. limit judges the change where `judged` is "change", else the candidate, else the legacy model or the data. reason: why a status is ABSENT or ERROR, in one sentence. */
export type Finding = {
  id: string;
  subject: string;
  title: string;
  status: Status;
  legacy: Measure | null;
  candidate: Measure | null;
  change: Measure | null;
  limit: Limit | null;
  judged: 'legacy' | 'candidate' | 'change' | null;
  why: string;
  fix: string;
  reason: string;
  details: (Text | Table | Chart | File)[];
};

/** What the team accepts, and who said so. better: "lower" accepts up to value + margin, "higher" from value - margin, "equal" within value +/- margin. set_by: a person, a policy, or "default". */
export type Limit = {
  value: number | 'NaN' | 'Infinity' | '-Infinity';
  better: 'lower' | 'higher' | 'equal';
  margin: number | 'NaN' | 'Infinity' | '-Infinity';
  set_by: string;
};

/** A number with its interval. low and high are None where there is no interval. value may be NaN or infinite (written to JSON as a string): a gap of a group without positives is not 0. level: confidence level of the interval; n: rows it rests on; unit: "share" for a fraction (drawn as %, its change in points), "" for a pure number, else "ms", "rows", "x" (a ratio), "log-odds", ...; method: how the interval was made, with its source. */
export type Measure = {
  value: number | 'NaN' | 'Infinity' | '-Infinity';
  low: number | 'NaN' | 'Infinity' | '-Infinity' | null;
  high: number | 'NaN' | 'Infinity' | '-Infinity' | null;
  level: number | 'NaN' | 'Infinity' | '-Infinity' | null;
  n: number | null;
  unit: string;
  method: string;
};

/** One line, set of bars or cloud of a chart; low and high are whiskers. role picks the house colour. */
export type Series = {
  name: string;
  x: (number | 'NaN' | 'Infinity' | '-Infinity' | string)[];
  y: (number | 'NaN' | 'Infinity' | '-Infinity' | null)[];
  low: (number | 'NaN' | 'Infinity' | '-Infinity' | null)[];
  high: (number | 'NaN' | 'Infinity' | '-Infinity' | null)[];
  role: 'legacy' | 'candidate' | 'change' | 'other';
};

/** The closed set of outcomes of one finding. ERROR (it broke) and ABSENT (could not look, always with the reason) are never a judgement of the model. MANUAL waits for a person. INFO has no limit to be judged against. */
export type Status = 'pass' | 'warn' | 'fail' | 'info' | 'manual' | 'absent' | 'error';

/** Rows under named columns. units: one per column, "" where there is none. */
export type Table = {
  type: 'table';
  title: string;
  columns: string[];
  rows: ((number | 'NaN' | 'Infinity' | '-Infinity' | string | boolean | null)[])[];
  units: string[];
};

/** A paragraph, or with code=True a command or snippet to copy. */
export type Text = {
  type: 'text';
  title: string;
  text: string;
  code: boolean;
};

/** Everything one audit found in one run: written once, never changed. subjects: sha256 of what was judged (data, legacy, candidate). key: freshness, sha256 over inputs, params, code and environment. started: UTC. seconds: wall time by a monotonic clock. */
export type Evidence = {
  schema: number;
  audit: string;
  question: string;
  migration: string;
  subjects: Record<string, string>;
  params?: unknown;
  environment: Record<string, string>;
  key: string;
  started: string;
  seconds: number | 'NaN' | 'Infinity' | '-Infinity';
  findings: Finding[];
};
