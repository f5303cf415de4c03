import { ApiError } from '../src/api';
import { active, applied, follow, share, shareOfAll } from '../src/progress';
import type { Event, Job } from '../src/server';

const JOB: Job = {
  job: 'j', migration: 'a', run: null, state: 'starting', started: '2026-11-22T10:00:00Z', ended: null, elapsed: 0,
  left: null, only: [], force: false, done: 0, of: 0, notebooks: [], code: null, sentence: '', events: 0
};
const AT = '2026-11-22T10:00:01Z';
const EVENTS: Event[] = [
  { n: 1, at: AT, event: 'run', run: 'r', of: 2 },
  { n: 2, at: AT, event: 'fresh', notebook: '44_parity', text: 'r0', status: 'pass' },
  { n: 3, at: AT, event: 'start', notebook: '51_bias', of: 4, title: 'Is any group treated worse?' },
  { n: 4, at: AT, event: 'cell', notebook: '51_bias', cell: 3, of: 4, title: 'Who', seconds: 1.5, elapsed: 2, left: 8 },
  { n: 5, at: AT, event: 'done', notebook: '51_bias', status: 'fail', text: 'Not ready.', seconds: 3 },
  { n: 6, at: AT, event: 'ended', code: 1, text: 'Not ready: 1 thing blocks go-live.' }
];

test('a job follows its events', () => {
  const jobs = EVENTS.reduce<Job[]>((told, event) => [...told, applied(told[told.length - 1], event)], [JOB]);
  expect(jobs.map(job => job.state)).toEqual(['starting', ...Array(5).fill('running'), 'done']);
  const [, , , , cell, done, ended] = jobs;
  expect([cell.run, cell.of, cell.done, cell.elapsed, cell.left]).toEqual(['r', 2, 1, 2, 8]);
  expect(cell.notebooks[1]).toMatchObject({ state: 'running', cell: 3, of: 4, title: 'Who', elapsed: 1.5 });
  expect(shareOfAll(cell)).toBeCloseTo((1 + 2.5 / 4) / 2);
  expect(done.notebooks[1]).toMatchObject({ state: 'done', status: 'fail', sentence: 'Not ready.' });
  expect([ended.code, ended.done, active(ended), shareOfAll(ended)]).toEqual([1, 2, false, 1]);
});

test.each([[0, 'done'], [2, 'done'], [3, 'failed'], [130, 'stopped'], [undefined, 'failed']])('ended with %p is %p', (code, state) => {
  expect(applied(JOB, { n: 1, at: AT, event: 'ended', code }).state).toBe(state);
});

test('a share is never more than all or less than nothing', () => {
  const one = applied(JOB, EVENTS[2]).notebooks[0];
  expect(share(one)).toBe(0);
  expect(share({ ...one, cell: 9 })).toBe(1);
  expect(share({ ...one, of: 0 })).toBe(0);
  expect(shareOfAll(JOB)).toBe(0);
});

test('a broken connection is taken up where it ended, and nothing is told twice', async () => {
  const asked: number[] = [];
  const api = {
    async *events(_: string, __: string, after: number): AsyncGenerator<Event> {
      asked.push(after);
      yield* EVENTS.slice(Math.max(0, after - 1), after + 2);
      throw new ApiError('unreachable', 'gone', '', '');
    }
  };
  const told: number[] = [];
  await follow(api, 'a', 'j', 0, new AbortController().signal, event => told.push(event.n), [1]);
  expect(told).toEqual([1, 2, 3, 4, 5, 6]);
  expect(asked).toEqual([0, 2, 4]);
});

test('a refusal ends it, and so does whoever no longer listens', async () => {
  const refusing = {
    async *events(): AsyncGenerator<Event> {
      throw new ApiError('gone', 'No longer kept.', '', '');
    }
  };
  const control = new AbortController();
  await expect(follow(refusing, 'a', 'j', 0, control.signal, () => undefined)).rejects.toThrow('No longer kept.');
  control.abort();
  await expect(follow(refusing, 'a', 'j', 0, control.signal, () => undefined)).resolves.toBeUndefined();
});
