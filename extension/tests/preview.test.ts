import { pageAsked } from '../src/preview';

test('a frame may ask for pages of the preview, and for nothing else', () => {
  const asked = ['', 'cases', 'decide', 'notebook/bias'].map(preview => pageAsked({ preview }));
  expect(asked).toEqual(['', 'cases', 'decide', 'notebook/bias']);
  for (const other of ['../report', 'notebook/../../x', 'https://example.org', 'notebook/', 'explore/bias', 'x', 7, {}]) {
    expect(pageAsked({ preview: other })).toBeNull();
  }
  for (const other of [null, undefined, 'cases', {}]) {
    expect(pageAsked(other)).toBeNull();
  }
});
