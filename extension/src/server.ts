// Generated from the server's openapi.yaml by generate.py: do not edit.

export type Error = {
  /** stable, for programs */
  code: 'invalid' | 'forbidden' | 'not-found' | 'method' | 'busy' | 'exists' | 'gone' | 'too-large' | 'not-json' | 'refused' | 'too-many' | 'not-available' | 'broke';
  /** what happened, e.g. This migration is being written already. */
  what: string;
  /** what was seen; may be empty, e.g. process 4711 on lab-3 since 2026-11-22 18:50:00 UTC */
  seen: string;
  /** what to do next, e.g. Wait for it or stop it, then start again. */
  do: string;
  /** the three in one line */
  message: string;
};

export type MigrationId = string;

export type RunId = string;

export type JobId = string;

export type Status = 'pass' | 'warn' | 'fail' | 'info' | 'manual' | 'absent' | 'error';

export type About = {
  version: string;
  /** the workbench was replaced since this server started: restart it */
  changed: boolean;
  /** whether waive and ledger answer */
  ledger: boolean;
};

export type Summary = {
  id: MigrationId;
  name: string;
  /** its folder, relative to the root; empty for the root itself */
  path: string;
  file: string;
  status: Status;
  sentence: string;
  brief: string;
  /** the one thing to do now */
  next: string;
  /** limits that judged and that nobody in the team has agreed to */
  defaults: number;
  /** limits that judged */
  limits: number;
  /** why migration.yaml cannot be read, else empty; then the rest says absent */
  problem: string;
  active: Active | null;
  /** id of the newest finished run */
  last_run: string | null;
  /** notebooks whose evidence no longer holds, e.g. 51_bias */
  stale: string[];
  /** notebooks that have no evidence yet */
  unrun: string[];
};

export type Migrations = {
  migrations: Summary[];
  /** the folders below the root are too many to look through: open Jupyter nearer to the migration */
  truncated: boolean;
};

/** what writes to the migration now */
export type Active = {
  /** id, where it was started from here: it has events and can be stopped; else null */
  job: string | null;
  /** id of the run on disk */
  run: string | null;
  holder: string;
};

export type Journey = Summary & {
  chapters: Chapter[];
  /** whether there is a report to open */
  report: boolean;
};

export type Chapter = {
  /** 1 to 6; 0 for audits that were installed without a chapter */
  number: number;
  title: string;
  status: Status;
  sentence: string;
  brief: string;
  notebooks: Notebook[];
};

export type Notebook = {
  notebook: string;
  /** its name for start, evidence and report */
  audit: string;
  question: string;
  kind: 'audit' | 'mover';
  status: Status;
  /** the verdict in one sentence */
  sentence: string;
  /** the same in two words */
  brief: string;
  /** the evidence still holds */
  fresh: boolean;
  /** there is evidence and it no longer holds */
  stale: boolean;
  /** when the evidence was made: its age */
  started: string | null;
  /** that making it took */
  seconds: number | null;
  /** the run that made it */
  run: string | null;
  /** the notebook to work in by hand, relative to the root; null until copyNotebooks */
  path: string | null;
  /** the executed notebook of that run */
  executed: string | null;
  /** what it needs and has not, in sentences */
  missing: string[];
  /** seconds it took last time when it was run whole; null if never */
  expected: number | null;
};

export type Copies = {
  folder: string;
  written: string[];
  /** the team's own */
  changed: string[];
};

export type Run = {
  run: RunId;
  state: 'done' | 'running' | 'crashed';
  started: string;
  finished: string | null;
  seconds: number | null;
  /** why it counts as crashed */
  reason: string;
  /** finished notebooks, e.g. 51_bias */
  parts: string[];
  command: string;
  /** whether it has a report */
  report: boolean;
};

export type Runs = {
  runs: Run[];
};

export type RunDetail = Run & {
  status: Status;
  sentence: string;
  notebooks: Part[];
  /** evidence of it that could not be read */
  problems: string[];
};

export type Part = {
  notebook: string;
  audit: string;
  status: Status;
  sentence: string;
  started: string | null;
  seconds: number | null;
  /** the earlier run it was taken over from, or empty */
  came_from: string;
  /** the executed notebook */
  executed: string | null;
};

/** empty - all that is stale or was never run */
export type Start = {
  /** these notebooks and no others, e.g. [bias] */
  only?: string[];
  /** this notebook and those after it */
  from?: string;
  /** run what is fresh */
  force: boolean;
  /** from a run on a machine that is gone; one on this machine is never taken from */
  take_over: boolean;
  /** notebooks at a time */
  jobs: number;
  /** for this run, by audit and parameter, e.g. {bias: {min_group: 30}} */
  params?: Record<string, Record<string, unknown>>;
};

export type Stop = {
  /** kill it; for one that does not stop when asked */
  force: boolean;
};

export type Job = {
  job: JobId;
  migration: MigrationId;
  /** the run on disk: null until it has one, or where everything was fresh */
  run: string | null;
  /** done: it came to its end, whatever it found (see code); failed: it broke or could not start, sentence says why */
  state: 'starting' | 'running' | 'stopping' | 'done' | 'stopped' | 'failed';
  started: string;
  ended: string | null;
  /** seconds */
  elapsed: number;
  /** seconds it may still take, from how long each notebook took before; null where one never ran */
  left: number | null;
  only: string[];
  force: boolean;
  /** notebooks that are settled */
  done: number;
  /** notebooks of this run; 0 until it says */
  of: number;
  notebooks: Progress[];
  /** 0 ready, 1 blocked by findings, 2 could not assess, 3 broke, 130 stopped */
  code: number | null;
  /** where it is, or how it ended, in words */
  sentence: string;
  /** number of the newest event */
  events: number;
};

export type Progress = {
  notebook: string;
  state: 'running' | 'fresh' | 'done' | 'failed' | 'skipped';
  /** 1-based; 0 before the first */
  cell: number;
  of: number;
  /** the heading above the cell */
  title: string;
  /** seconds */
  elapsed: number;
  /** seconds it took last time */
  expected: number | null;
  status: Status | null;
  sentence: string;
};

export type Jobs = {
  jobs: Job[];
};

/** one line of progress. What is empty or 0 is left out. */
export type Event = {
  n: number;
  /** when it happened */
  at: string;
  /** run: it starts, with `of` notebooks; fresh: stored evidence of this notebook still holds (text: of which run); start/cell/done/failed/skipped: of this notebook; nothing: all is fresh; end: the run is written (status: exit code, path: nothing a client needs); ended: always the last, with code and text. */
  event: 'run' | 'fresh' | 'start' | 'cell' | 'done' | 'failed' | 'skipped' | 'warning' | 'nothing' | 'end' | 'ended';
  run?: string;
  notebook?: string;
  cell?: number;
  of?: number;
  title?: string;
  text?: string;
  seconds?: number;
  status?: string;
  /** of ended only */
  code?: number;
  /** seconds since the job started */
  elapsed?: number;
  /** seconds it may still take, as Job.left */
  left?: number | null;
};

export type EvidenceView = {
  /** as /schemas/evidence says */
  evidence: Record<string, unknown>;
  status: Status;
  sentence: string;
  brief: string;
  counts: Record<string, number>;
  run: RunId;
  fresh: boolean;
  /** the findings as the report draws them, worst first: groups of `Row`s in words and pixels */
  groups: {
    status: Status;
    title: string;
    total: number;
    rows: Row[];
  }[];
};

/** a finding in words and pixels; numbers are said as in the report */
export type Row = {
  /** id[subject] */
  key: string;
  id: string;
  /** stable id for links */
  anchor: string;
  status: Status;
  title: string;
  /** subject and reason */
  under: Prose[][];
  number: string;
  /** its interval */
  between: string;
  limit: string;
  pair: Pair | null;
  measures: Grid | null;
  why: Prose[];
  fix: Prose[];
  details: Shown[];
  /** what an auditor cites: key, n, method */
  meta: string[];
};

export type Prose = {
  /** text, code in a line, a block of code */
  kind: 'plain' | 'inline' | 'block';
  text: string;
};

/** the pair plot in pixels of a box 250 wide and 42 high */
export type Pair = {
  dots: Dot[];
  /** what the limit accepts, from and to */
  band: number[] | null;
  edges: number[];
  /** where nothing would have changed */
  same: number | null;
  /** the two ends of the scale */
  ends: string[];
  /** the picture in words */
  label: string;
};

export type Dot = {
  role: 'legacy' | 'candidate';
  x: number;
  y: number;
  low: number;
  high: number;
  open_low: boolean;
  open_high: boolean;
};

export type Grid = {
  title: string;
  columns: string[];
  /** columns of numbers */
  right: boolean[];
  rows: string[][];
  /** rows there are, which may be more than are here */
  total: number;
};

/** a detail; grid of tables and charts, figure (application/vnd.plotly.v1+json) of charts, prose of texts */
export type Shown = {
  type: 'chart' | 'table' | 'text' | 'file';
  title: string;
  figure?: Record<string, unknown>;
  grid?: Grid;
  prose?: Prose[];
};

export type FindingRow = {
  audit: string;
  run: RunId;
  /** id[subject] */
  key: string;
  status: Status;
  row: Row;
  /** until when somebody accepted it */
  waived: string | null;
};

export type Findings = {
  findings: FindingRow[];
  shown: number;
  of: number;
  /** evidence that could not be read */
  problems: string[];
};

export type Comparison = {
  before: RunId;
  after: RunId;
  changes: {
    audit: string;
    key: string;
    title: string;
    /** worse and better by status; changed: same status, other numbers */
    moved: 'worse' | 'better' | 'changed' | 'new' | 'gone';
    before: Row | null;
    after: Row | null;
  }[];
  /** findings that are equal */
  same: number;
  problems: string[];
};

export type Chosen = {
  /** files with the rows both models are judged on */
  data: Path[];
  model: Path;
  /** to make the migration in; proposed when left out (a new folder beside the data) */
  folder?: string;
  target?: string;
  task?: 'binary' | 'multiclass' | 'regression';
  positive?: string | number | boolean;
  protected?: string[];
  train?: Path[];
  production?: Path[];
  /** for the model's reader, e.g. {feature_map: map.txt} */
  options?: Record<string, unknown>;
};

/** a file, relative to the root */
export type Path = string;

export type Proposal = {
  /** confirm with it */
  proposal: string;
  /** where it would be written, relative to the root */
  folder: string;
  name: string;
  values: {
    /** place in migration.yaml */
    key: string;
    value: unknown;
    confidence: 'given' | 'high' | 'medium' | 'low';
    why: string;
  }[];
  /** keys that are guesses: a person must look */
  unsure: string[];
  /** migration.yaml as it would be written */
  text: string;
  /** of the data, to choose target and protected from */
  columns: string[];
};

export type Creation = {
  proposal: string;
};

export type Waiver = {
  /** of the finding, id[subject] */
  key: string;
  run: RunId;
  reason: string;
  expires: string;
  /** an id of this click: sent twice, it is recorded once */
  request?: string;
};

export type Waived = {
  seq: number;
  key: string;
  expires: string;
};

export type Ledger = {
  entries: (Record<string, unknown>)[];
  /** what is wrong with the ledger itself */
  problems: string[];
};

export type Kind = {
  id: string;
  title: string;
  why: string;
  fix: string;
  source: string;
  /** the default limit */
  limit: Record<string, unknown> | null;
};
