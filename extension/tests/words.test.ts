import type { TranslationBundle } from '@jupyterlab/translation';
import { dataFirst, folderOf, modelsFirst, sorted } from '../src/files';
import { age, clock, runNumber, sentenceOf, split, statusWord, titled } from '../src/words';

const __ = (text: string, ...values: unknown[]): string => text.replace(/%(\d)/g, (_, n) => String(values[n - 1]));
const trans = { __ } as TranslationBundle;
const NOW = Date.parse('2026-11-22T12:00:00Z');

test.each([
  ['2026-11-22T11:59:30Z', 'now'],
  ['2026-11-22T12:05:00Z', 'now'],
  ['2026-11-22T11:55:01Z', '4 min'],
  ['2026-11-22T10:00:00Z', '2 h'],
  ['2026-11-19T11:00:00Z', '3 d']
])('%s was %s ago', (iso, told) => expect(age(iso, NOW, trans)).toBe(told));

test.each([[0, '0:00'], [6.6, '0:07'], [220, '3:40'], [3723, '1:02:03'], [-3, '0:00']])('%p s is %s', (seconds, told) =>
  expect(clock(seconds)).toBe(told)
);

test('sentences are cut where a reader pauses', () => {
  expect(split('Not ready: 1 thing blocks go-live, 2 warnings.')).toEqual(['Not ready: 1 thing blocks go-live.', '2 warnings.']);
  expect(split('Ready.')).toEqual(['Ready.', '']);
  expect(sentenceOf('Ready: 9 checks passed. Stale: something changed.')).toBe('Ready: 9 checks passed.');
  expect(sentenceOf('Not run yet.')).toBe('Not run yet.');
});

test('names and numbers', () => {
  expect(titled('business_case')).toBe('Business case');
  expect(runNumber('20261122T185000Z-0014')).toBe('14');
  expect(statusWord('absent', trans)).toBe('not assessed');
});

test('what was selected is told apart by name', () => {
  expect(sorted(['a/legacy.joblib', 'a/loans.csv'])).toEqual({ data: ['a/loans.csv'], model: 'a/legacy.joblib' });
  expect(sorted(['a/README.md'])).toEqual({ data: [], model: '' });
  expect(sorted(['x.CSV', 'M.PKL'])).toEqual({ data: ['x.CSV'], model: 'M.PKL' });
  expect(dataFirst(['train.csv', 'loans.csv', 'holdout.csv', 'x.pkl'])).toEqual(['holdout.csv', 'loans.csv', 'train.csv']);
  expect(modelsFirst(['notes.txt', 'x.onnx', 'model.json', 'a.csv'])).toEqual(['model.json', 'x.onnx', 'notes.txt']);
  expect([folderOf('a/b/c.csv'), folderOf('c.csv')]).toEqual(['a/b', '']);
});
