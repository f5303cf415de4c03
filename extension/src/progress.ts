import type { Api } from './api';
import { ApiError } from './api';
import type { Event, Job, Progress, Status } from './server';

const STATUSES: readonly string[] = ['pass', 'warn', 'fail', 'info', 'manual', 'absent', 'error'];
const SETTLED: Partial<Record<Event['event'], Progress['state']>> = {
  fresh: 'fresh',
  done: 'done',
  failed: 'failed',
  skipped: 'skipped'
};

/** Whether a job is still going on. */
export function active(job: Job | null): job is Job {
  return job !== null && ['starting', 'running', 'stopping'].includes(job.state);
}

/** The job as it is after one more event; the server says the same when it is asked again. */
export function applied(job: Job, event: Event): Job {
  const now = {
    ...job,
    run: event.run ?? job.run,
    events: Math.max(job.events, event.n),
    elapsed: event.elapsed ?? job.elapsed,
    left: event.left === undefined ? job.left : event.left
  };
  if (event.event === 'run') {
    return { ...now, state: job.state === 'stopping' ? 'stopping' : 'running', of: event.of ?? job.of };
  }
  if (event.event === 'ended') {
    const state = event.code === 130 ? 'stopped' : (event.code ?? 3) >= 3 ? 'failed' : 'done';
    return { ...now, state, code: event.code ?? null, ended: event.at, left: null, sentence: event.text ?? '' };
  }
  if (!event.notebook) {
    return now;
  }
  const notebooks = upserted(job.notebooks, event);
  return { ...now, notebooks, done: notebooks.filter(one => one.state !== 'running').length };
}

function upserted(notebooks: readonly Progress[], event: Event): Progress[] {
  const before = notebooks.find(one => one.notebook === event.notebook);
  const settled = SETTLED[event.event];
  const after: Progress = {
    notebook: event.notebook!,
    state: settled ?? 'running',
    cell: event.cell ?? before?.cell ?? 0,
    of: event.of ?? before?.of ?? 0,
    title: event.title ?? before?.title ?? '',
    elapsed: event.seconds ?? before?.elapsed ?? 0,
    expected: before?.expected ?? null,
    status: settled && STATUSES.includes(event.status ?? '') ? (event.status as Status) : (before?.status ?? null),
    sentence: event.text ?? before?.sentence ?? ''
  };
  return before ? notebooks.map(one => (one === before ? after : one)) : [...notebooks, after];
}

/** How much of a notebook is done, 0 to 1: by its cells; a cell that runs counts as half. */
export function share(one: Progress): number {
  if (one.state !== 'running') {
    return 1;
  }
  return one.of ? Math.max(0, Math.min(1, (one.cell - 0.5) / one.of)) : 0;
}

/** How much of the whole run is done, 0 to 1. */
export function shareOfAll(job: Job): number {
  const total = Math.max(job.of, job.notebooks.length);
  return total ? job.notebooks.reduce((sum, one) => sum + share(one), 0) / total : 0;
}

/**
 * Events of a job behind number `after` until its last, asked for again where the connection broke: each event is told once.
 * pauses: milliseconds before the next attempt, the last one repeated. A refusal by the server is thrown.
 */
export async function follow(
  api: Pick<Api, 'events'>,
  id: string,
  job: string,
  after: number,
  signal: AbortSignal,
  tell: (event: Event) => void,
  pauses: readonly number[] = [300, 1000, 3000]
): Promise<void> {
  let last = after;
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      for await (const event of api.events(id, job, last, signal)) {
        if (event.n <= last) {
          continue;
        }
        last = event.n;
        failures = 0;
        tell(event);
        if (event.event === 'ended') {
          return;
        }
      }
    } catch (error) {
      if (error instanceof ApiError && error.code !== 'unreachable') {
        throw error;
      }
    }
    await pause(pauses[Math.min(failures, pauses.length - 1)], signal);
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}
