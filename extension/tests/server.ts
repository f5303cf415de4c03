import type { IncomingMessage, ServerResponse } from 'http';
import { createServer } from 'http';
import type { AddressInfo } from 'net';
import { Api } from '../src/api';

export type Asked = { method: string; path: string; headers: IncomingMessage['headers']; body: string };
export type Answer = (asked: Asked, response: ServerResponse) => void | Promise<void>;

/** A real HTTP server of this process, with the Api that speaks to it. */
export class Server {
  readonly asked: Asked[] = [];
  api!: Api;

  constructor(private answers: Record<string, Answer>) {}

  async start(): Promise<this> {
    await new Promise<void>(resolve => this.server.listen(0, '127.0.0.1', resolve));
    const { port } = this.server.address() as AddressInfo;
    this.api = new Api(`http://127.0.0.1:${port}/user/ada/workbench/api`, (url, init) => fetch(url, init));
    return this;
  }

  set(path: string, answer: Answer): void {
    this.answers[path] = answer;
  }

  stop(): Promise<void> {
    this.server.closeAllConnections();
    return new Promise(resolve => this.server.close(() => resolve()));
  }

  private server = createServer((request, response) => {
    let body = '';
    request.on('data', part => (body += part));
    request.on('end', () => {
      const path = request.url!.replace('/user/ada/workbench/api/', '');
      const asked = { method: request.method!, path, headers: request.headers, body };
      this.asked.push(asked);
      const answer = this.answers[`${request.method} ${path}`] ?? this.answers[path];
      if (answer) {
        void answer(asked, response);
      } else {
        response.writeHead(404, { 'Content-Type': 'text/html' }).end('<h1>404</h1>');
      }
    });
  });
}

/** Answers with JSON. */
export function json(value: unknown, status = 200): Answer {
  return (_, response) => {
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
  };
}

/** Answers with server-sent events behind the Last-Event-ID, then ends or keeps the line open. */
export function events(all: { n: number }[], cut = false): Answer {
  return ({ headers }, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    const after = Number(headers['last-event-id'] ?? 0);
    for (const event of all.filter(one => one.n > after)) {
      response.write(`id: ${event.n}\nevent: progress\ndata: ${JSON.stringify(event)}\n\n`);
    }
    return cut ? void response.socket!.end() : void response.end();
  };
}
