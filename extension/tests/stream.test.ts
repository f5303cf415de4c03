import { type Message, messages } from '../src/stream';

function body(parts: (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: control => {
      parts.forEach(part => control.enqueue(typeof part === 'string' ? new TextEncoder().encode(part) : part));
      control.close();
    }
  });
}

async function all(parts: (string | Uint8Array)[]): Promise<Message[]> {
  const found = [];
  for await (const message of messages(body(parts))) {
    found.push(message);
  }
  return found;
}

const TEXT = ': hello\n\nid: 1\nevent: progress\ndata: {"a":\ndata: 1}\n\nid:2\r\ndata:é\r\n\r\n: beat\n\ndata: cut off';
const FOUND = [
  { id: '1', data: '{"a":\n1}' },
  { id: '2', data: 'é' }
];

test('comments and what was cut off are no events', async () => {
  expect(await all([TEXT])).toEqual(FOUND);
});

test('however the bytes come', async () => {
  const bytes = new TextEncoder().encode(TEXT);
  for (let size = 1; size < 12; size++) {
    const parts = [];
    for (let at = 0; at < bytes.length; at += size) {
      parts.push(bytes.slice(at, at + size));
    }
    expect(await all(parts)).toEqual(FOUND);
  }
});
