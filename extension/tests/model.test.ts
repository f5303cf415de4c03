import { Model } from '../src/model';
import type { Event, Job } from '../src/server';
import { Server, events, json } from './server';

const SUMMARY = {
  name: 'credit', path: 'credit', file: 'credit/migration.yaml', status: 'fail', sentence: 'Not ready.', brief: '1 blocks',
  next: '', defaults: 0, limits: 0, problem: '', active: null, last_run: null, stale: ['51_bias'], unrun: ['44_parity']
};
const JOB = {
  job: 'j', migration: 'a', run: 'r', state: 'running', started: '2026-11-22T10:00:00Z', ended: null, elapsed: 1, left: null,
  only: [], force: false, done: 0, of: 1, notebooks: [], code: null, sentence: '', events: 1
} as unknown as Job;
const ENDED: Event = { n: 3, at: '', event: 'ended', code: 0, text: 'Ready.' };
const TOLD: Event[] = [
  { n: 1, at: '', event: 'run', of: 1 },
  { n: 2, at: '', event: 'cell', notebook: '51_bias', cell: 1, of: 2 },
  ENDED
];

let server: Server;
let model: Model;

beforeEach(async () => {
  const both = [{ ...SUMMARY, id: 'a' }, { ...SUMMARY, id: 'b', name: 'fraud' }];
  server = await new Server({
    'GET migrations': json({ migrations: both, truncated: false }),
    'GET migrations/a': json({ ...both[0], chapters: [], report: false }),
    'GET migrations/b': json({ ...both[1], chapters: [], report: true }),
    'POST migrations/a/jobs': json(JOB, 202),
    'GET migrations/a/jobs/j': json({ ...JOB, state: 'done', code: 0, sentence: 'Ready.', events: 3 }),
    'POST migrations/a/jobs/j/stop': json({ ...JOB, state: 'stopping' }, 202),
    'GET migrations/a/jobs/j/events': events(TOLD)
  }).start();
  model = new Model(server.api);
});
afterEach(() => (model.dispose(), server.stop()));

function finished(): Promise<Job> {
  return new Promise(resolve => model.finished.connect((_, job) => resolve(job)));
}

test('the first migration is taken at hand, and another one when asked', async () => {
  await model.refresh();
  expect([model.current, model.journey?.name, model.due.length]).toEqual(['a', 'credit', 2]);
  await model.select('b');
  expect([model.summary?.name, model.journey?.report]).toEqual(['fraud', true]);
  await model.refresh();
  expect(model.current).toBe('b');
});

test('a run is followed to its end, then the journey is read again', async () => {
  await model.refresh();
  const cells: number[] = [];
  model.changed.connect(() => cells.push(model.job?.notebooks[0]?.cell ?? 0));
  const end = finished();
  await model.run({ only: ['bias'] });
  expect((await end).sentence).toBe('Ready.');
  expect(cells).toContain(1);
  expect(model.job?.state).toBe('done');
  const asked = server.asked.map(one => `${one.method} ${one.path}`);
  expect(asked.slice(asked.indexOf('POST migrations/a/jobs'))).toEqual([
    'POST migrations/a/jobs', 'GET migrations/a/jobs/j/events', 'GET migrations/a/jobs/j', 'GET migrations/a'
  ]);
});

test('the verdict of a notebook is read when it is done, while the others run', async () => {
  const done: Event = { n: 2, at: '', event: 'done', notebook: '51_bias', status: 'pass', text: 'Ready.' };
  server.set('GET migrations/a/jobs/j/events', events([TOLD[0], done, ENDED]));
  await model.refresh();
  const end = finished();
  const reads = (): number => server.asked.filter(one => `${one.method} ${one.path}` === 'GET migrations/a').length;
  const before = reads();
  await model.run();
  await end;
  expect(reads() - before).toBe(2);
});

test('a run that goes on is found again after a reload', async () => {
  server.set('GET migrations/a', json({ ...SUMMARY, id: 'a', active: { job: 'j', run: 'r', holder: '' }, chapters: [], report: false }));
  server.set('GET migrations/a/jobs/j', json(JOB));
  await model.refresh();
  expect(model.job?.job).toBe('j');
});

test('stop is asked once kindly, then by force', async () => {
  server.set('GET migrations/a/jobs/j/events', (_, response) => void response.writeHead(200).flushHeaders());
  await model.refresh();
  await model.run();
  await model.stop();
  await model.stop();
  const stops = server.asked.filter(one => one.path.endsWith('/stop')).map(one => JSON.parse(one.body).force);
  expect(stops).toEqual([false, true]);
  expect(model.job?.state).toBe('stopping');
});

test('a failure is shown, what was known stays, and it goes away', async () => {
  await model.refresh();
  server.set('GET migrations', json({ code: 'broke', what: 'Broke.', seen: '', do: '', message: '' }, 500));
  await model.refresh();
  expect([model.problem?.what, model.migrations.length]).toEqual(['Broke.', 2]);
  server.set('GET migrations', json({ migrations: [], truncated: true }));
  await model.refresh();
  expect([model.problem, model.current, model.summary, model.truncated]).toEqual([null, '', null, true]);
});

test('an answer about a migration that was left is not shown', async () => {
  await model.refresh();
  let answer: () => void = () => undefined;
  server.set('GET migrations/a', (_, response) => {
    answer = () => json({ ...SUMMARY, id: 'a', chapters: [], report: false })(_, response);
  });
  const late = model.refresh();
  while (!server.asked.slice(2).some(one => one.path === 'migrations/a')) {
    await new Promise(resolve => setTimeout(resolve, 5));
  }
  await model.select('b');
  answer();
  await late;
  expect(model.summary?.name).toBe('fraud');
});
