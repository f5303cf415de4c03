import { Draft } from '../src/draft';
import { Server, json } from './server';

const PROPOSAL = { proposal: 'p', folder: 'w/credit', name: 'credit', values: [], unsure: [], text: '', columns: [] };

let server: Server;

beforeEach(async () => {
  server = await new Server({
    'POST proposals': json(PROPOSAL),
    'POST migrations': json({ id: 'a', file: 'w/credit/migration.yaml' }, 201)
  }).start();
});
afterEach(() => server.stop());

function chosen(): object[] {
  return server.asked.filter(one => one.path === 'proposals').map(one => JSON.parse(one.body));
}

function draft(files: string[], data: string[], model: string): Draft {
  return new Draft(server.api, async () => files, data, model);
}

test('two files are enough to be asked nothing', async () => {
  const one = draft([], ['w/loans.csv'], 'w/legacy.pkl');
  await one.begin();
  expect(chosen()).toEqual([{ data: ['w/loans.csv'], model: 'w/legacy.pkl' }]);
  expect(one.proposal?.name).toBe('credit');
  expect((await one.create())?.id).toBe('a');
  expect(server.asked[server.asked.length - 1].body).toBe('{"proposal":"p"}');
});

test('what stands beside one file is taken only where there is no choice', async () => {
  const sure = draft(['w/loans.csv', 'w/legacy.pkl'], [], 'w/legacy.pkl');
  await sure.begin();
  expect(sure.data).toEqual(['w/loans.csv']);
  const unsure = draft(['w/a.csv', 'w/holdout.csv', 'w/legacy.pkl'], [], 'w/legacy.pkl');
  await unsure.begin();
  expect([unsure.data, unsure.beside.data, unsure.proposal]).toEqual([[], ['w/holdout.csv', 'w/a.csv'], null]);
  await unsure.choose(['w/holdout.csv'], unsure.model);
  expect(unsure.proposal?.name).toBe('credit');
});

test('what a person says is kept over the next question, and forgotten with other files', async () => {
  const one = draft([], ['a.csv'], 'm.pkl');
  await one.begin();
  await one.change({ target: 'repaid' });
  await one.change({ protected: ['sex'] });
  await one.choose(['b.csv'], 'm.pkl');
  expect(chosen().slice(1)).toEqual([
    { data: ['a.csv'], model: 'm.pkl', target: 'repaid' },
    { data: ['a.csv'], model: 'm.pkl', target: 'repaid', protected: ['sex'] },
    { data: ['b.csv'], model: 'm.pkl' }
  ]);
});

test('a refusal is shown, and the answer to an older question is not', async () => {
  server.set('POST proposals', json({ code: 'refused', what: 'No column of truth.', seen: '', do: '', message: '' }, 422));
  const one = draft([], ['a.csv'], 'm.pkl');
  await one.begin();
  expect([one.problem?.what, one.proposal, one.busy]).toEqual(['No column of truth.', null, '']);
  let late: () => void = () => undefined;
  server.set('POST proposals', (asked, response) => {
    if (asked.body.includes('slow')) {
      late = () => void json({ ...PROPOSAL, name: 'slow' })(asked, response);
    } else {
      void json(PROPOSAL)(asked, response);
    }
  });
  const slow = one.change({ target: 'slow' });
  while (server.asked.length < 2) {
    await new Promise(resolve => setTimeout(resolve, 5));
  }
  await one.change({ target: 'quick' });
  late();
  await slow;
  expect([one.proposal?.name, one.problem]).toEqual(['credit', null]);
});
