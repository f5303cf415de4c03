import { readFileSync } from 'fs';
import { join } from 'path';
import { type Schema, offered } from '../src/completion';

const SCHEMA = JSON.parse(
  readFileSync(join(__dirname, '../../workbench/schemas/migration.schema.json'), 'utf-8')
) as Schema;

/** What is offered at the | in a text. */
function at(text: string): string[] {
  const offset = text.indexOf('|');
  return offered(SCHEMA, text.replace('|', ''), offset).items.map(item => item.label);
}

test('keys at the top, without those that are there', () => {
  expect(at('version: 1\n|\ndata:\n  holdout: a.csv\n')).toEqual(expect.arrayContaining(['name', 'legacy', 'task', 'limits']));
  expect(at('version: 1\n|\ndata:\n  holdout: a.csv\n')).not.toEqual(expect.arrayContaining(['data']));
  expect(at('na|')).toEqual(['name']);
});

test('keys inside, through references and alternatives', () => {
  expect(at('data:\n  holdout: a.csv\n  |')).toEqual(expect.arrayContaining(['train', 'production', 'sample']));
  expect(at('roles:\n  pro|')).toEqual(['protected']);
  expect(at('limits:\n  bias/selection-rate-gap:\n    value: 0.1\n    |')).toEqual(expect.arrayContaining(['better', 'margin', 'set_by']));
});

test('values where there are few', () => {
  expect(at('task:\n  kind: |')).toEqual(['binary', 'multiclass', 'regression']);
  expect(at('task:\n  kind: re|')).toEqual(['regression']);
  expect(at('limits:\n  bias/x:\n    better: |')).toEqual(['lower', 'higher', 'equal']);
  expect(at('name: |')).toEqual([]);
});

test('nothing where nothing is known', () => {
  expect(at('nonsense:\n  deep:\n    |')).toEqual([]);
  expect(at('# a comment: |')).toEqual([]);
});

test('what is replaced is the word at the cursor', () => {
  const offer = offered(SCHEMA, 'task:\n  kind: bi', 16);
  expect([offer.start, offer.end, offer.items[0].insert]).toEqual([14, 16, 'binary']);
  expect(offered(SCHEMA, 'ver', 3).items[0]).toMatchObject({ insert: 'version: ', about: "of this file's format" });
});
