import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import type { Api } from './api';
import { ApiError } from './api';
import { active, applied, follow } from './progress';
import type { Event, Job, Journey, Start, Summary } from './server';

/** What every view of the workbench shows: the migrations, the one at hand, and what runs in it. Knows no page. */
export class Model implements IDisposable {
  constructor(readonly api: Api) {}

  /** What every run is started with, where the start itself does not say. */
  defaults: Partial<Start> = {};

  /** Something that is shown has changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }
  /** A run has come to its end. */
  get finished(): ISignal<this, Job> {
    return this._finished;
  }
  get migrations(): readonly Summary[] {
    return this._migrations;
  }
  get truncated(): boolean {
    return this._truncated;
  }
  /** Id of the migration at hand, "" for none. */
  get current(): string {
    return this._current;
  }
  /** Where the migration at hand stands: as much as is known of it by now. */
  get summary(): Summary | null {
    return this._journey ?? this._migrations.find(one => one.id === this._current) ?? null;
  }
  get journey(): Journey | null {
    return this._journey;
  }
  /** The run of the migration at hand that was started from here: going on, or the last one seen. */
  get job(): Job | null {
    return this._job;
  }
  /** When `job` was told, in milliseconds: its elapsed time counts from there. */
  get jobSeen(): number {
    return this._jobSeen;
  }
  get problem(): ApiError | null {
    return this._problem;
  }
  /** Whether anything has been answered yet. */
  get ready(): boolean {
    return this._ready;
  }
  get isDisposed(): boolean {
    return this._disposed;
  }
  /** Notebooks that would run: stale, or never run. */
  get due(): readonly string[] {
    const summary = this.summary;
    return summary ? [...summary.stale, ...summary.unrun] : [];
  }

  dispose(): void {
    this._disposed = true;
    this._following?.abort();
    Signal.clearData(this);
  }

  /** Reads everything anew; a failure is shown, not thrown. */
  async refresh(): Promise<void> {
    await this.guarded(async () => {
      const found = await this.api.migrations();
      this._migrations = found.migrations;
      this._truncated = found.truncated;
      if (!found.migrations.some(one => one.id === this._current)) {
        this.enter(found.migrations[0]?.id ?? '');
      }
      this._ready = true;
      this._changed.emit();
      await this.read();
    });
  }

  /** Takes another migration at hand. */
  async select(id: string): Promise<void> {
    if (id !== this._current) {
      this.enter(id);
      this._changed.emit();
    }
    await this.guarded(() => this.read());
  }

  /** Starts a run and follows it. Empty: what is stale or was never run. Throws ApiError where it is refused. */
  async run(what: Partial<Start> = {}): Promise<Job> {
    const id = this._current;
    const job = await this.api.start(id, { ...this.defaults, ...what });
    if (id === this._current) {
      this.adopt(job);
    }
    return job;
  }

  /** Asks the run to stop, and the second time kills it. Throws ApiError where it is refused. */
  async stop(): Promise<void> {
    if (active(this._job)) {
      const job = await this.api.stop(this._current, this._job.job, this._job.state === 'stopping');
      if (this._job.job === job.job && active(this._job)) {
        this.tell(job);
      }
    }
  }

  private enter(id: string): void {
    this._following?.abort();
    this._following = null;
    this._current = id;
    this._journey = null;
    this._job = null;
  }

  private async read(): Promise<void> {
    const id = this._current;
    if (!id) {
      return;
    }
    const asked = ++this._reads;
    const journey = await this.api.journey(id);
    // An answer that was overtaken by a later question is older than what is shown, or soon will be.
    if (id !== this._current || asked !== this._reads) {
      return;
    }
    this._journey = journey;
    this._migrations = this._migrations.map(one => (one.id === id ? journey : one));
    const running = journey.active?.job ?? null;
    if (running && !(active(this._job) && this._job.job === running)) {
      const job = await this.api.job(id, running);
      if (id === this._current) {
        this.adopt(job);
      }
    }
    this._changed.emit();
  }

  private adopt(job: Job): void {
    this._following?.abort();
    this.tell(job);
    if (!active(job)) {
      return;
    }
    const following = (this._following = new AbortController());
    const id = this._current;
    const tell = (event: Event): void => {
      this.tell(applied(this._job!, event));
      // A notebook that is done has its verdict: it is not waited for until the whole run has ended.
      if (event.event === 'done' || event.event === 'failed') {
        void this.guarded(() => this.read());
      }
    };
    const heard = follow(this.api, id, job.job, job.events, following.signal, tell);
    void this.guarded(() => heard).then(() => (following.signal.aborted ? undefined : this.end(id, job.job)));
  }

  private async end(id: string, job: string): Promise<void> {
    await this.guarded(async () => {
      const last = await this.api.job(id, job);
      if (id === this._current) {
        this.tell(last);
        await this.read();
      }
      this._finished.emit(last);
    });
  }

  private tell(job: Job): void {
    this._job = job;
    this._jobSeen = Date.now();
    this._changed.emit();
  }

  private async guarded(work: () => Promise<unknown>): Promise<void> {
    const before = this._problem;
    try {
      await work();
      this._problem = null;
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      this._problem = error;
    }
    if (this._problem !== before) {
      this._changed.emit();
    }
  }

  private _changed = new Signal<this, void>(this);
  private _finished = new Signal<this, Job>(this);
  private _migrations: readonly Summary[] = [];
  private _truncated = false;
  private _current = '';
  private _journey: Journey | null = null;
  private _job: Job | null = null;
  private _jobSeen = 0;
  private _problem: ApiError | null = null;
  private _ready = false;
  private _reads = 0;
  private _disposed = false;
  private _following: AbortController | null = null;
}
