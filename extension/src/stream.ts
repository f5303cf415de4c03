/** One server-sent event: its id, and its data as text. */
export type Message = { id: string; data: string };

/**
 * Server-sent events of a response's body (WHATWG HTML, "9.2.6 Interpreting an event stream").
 * Comments and events without data are left out; an event that the stream's end cut off is not one.
 */
export async function* messages(body: ReadableStream<Uint8Array>): AsyncGenerator<Message> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      rest += decoder.decode(value, { stream: true });
      // A carriage return at the very end may be the first half of a line break.
      const ready = rest.endsWith('\r') ? rest.length - 1 : rest.length;
      const blocks = (rest.slice(0, ready).replace(/\r\n?/g, '\n') + '\0').split('\n\n');
      rest = blocks.pop()!.slice(0, -1) + rest.slice(ready);
      for (const block of blocks) {
        const message = parsed(block);
        if (message) {
          yield message;
        }
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function parsed(block: string): Message | null {
  const data: string[] = [];
  let id = '';
  for (const line of block.split('\n')) {
    const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line)!;
    if (name === 'data') {
      data.push(value);
    } else if (name === 'id') {
      id = value;
    }
  }
  return data.length ? { id, data: data.join('\n') } : null;
}
