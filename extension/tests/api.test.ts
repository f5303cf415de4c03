import { Api, ApiError } from '../src/api';
import { Server, events, json } from './server';

let server: Server;

beforeAll(async () => {
  server = await new Server({
    migrations: json({ migrations: [], truncated: false }),
    'POST migrations/a/jobs': json({ code: 'busy', what: 'Busy.', seen: 'process 1', do: 'Wait.', message: '' }, 409),
    'migrations/a/evidence/bias?run=r1': json({ sentence: 'Ready.' }),
    'GET migrations/a/runs': (_, response) => void response.writeHead(403).end('<html>Forbidden</html>'),
    'GET migrations/a': (_, response) => void response.writeHead(500).end('boom'),
    'GET migrations/a/jobs/j/events': events([{ n: 1 }, { n: 2 }, { n: 3 }])
  }).start();
});
afterAll(() => server.stop());

async function refused(work: Promise<unknown>): Promise<ApiError> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason
  );
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

test('what is asked stands below the base URL, and parameters are encoded', async () => {
  await expect(server.api.migrations()).resolves.toEqual({ migrations: [], truncated: false });
  await expect(server.api.evidence('a', 'bias', 'r1')).resolves.toEqual({ sentence: 'Ready.' });
  expect(server.api.reportUrl('a', 'bias', 'r&1')).toMatch(/\/user\/ada\/workbench\/api\/migrations\/a\/report\?audit=bias&run=r%261$/);
});

test('a refusal keeps its three sentences, and a body is JSON', async () => {
  const error = await refused(server.api.start('a', { only: ['bias'] }));
  expect([error.code, error.what, error.seen, error.todo]).toEqual(['busy', 'Busy.', 'process 1', 'Wait.']);
  expect(error.message).toBe('Busy. process 1 Wait.');
  const asked = server.asked[server.asked.length - 1];
  expect(asked.headers['content-type']).toBe('application/json');
  expect(JSON.parse(asked.body)).toEqual({ only: ['bias'] });
});

test('an answer that is not ours still says what to do', async () => {
  expect((await refused(server.api.about())).todo).toContain('jupyter server extension enable');
  expect((await refused(server.api.runs('a'))).code).toBe('forbidden');
  const broke = await refused(server.api.journey('a'));
  expect([broke.code, broke.seen]).toEqual(['broke', 'It answered 500 Internal Server Error.']);
});

test('a server that is gone is said to be unreachable', async () => {
  const gone = new Api('http://127.0.0.1:1/x', (url, init) => fetch(url, init));
  expect((await refused(gone.migrations())).code).toBe('unreachable');
});

test('events go on behind the last one', async () => {
  const seen = [];
  for await (const event of server.api.events('a', 'j', 1, new AbortController().signal)) {
    seen.push(event.n);
  }
  expect(seen).toEqual([2, 3]);
});
