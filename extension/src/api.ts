import type * as evidence from './evidence';
import type * as server from './server';
import { messages } from './stream';

/** How a request is sent: `ServerConnection.makeRequest` with its settings, which carry token and XSRF. */
export type Send = (url: string, init: RequestInit) => Promise<Response>;

/** Evidence with its verdict, and its findings laid out in words. */
export type EvidenceView = Omit<server.EvidenceView, 'evidence'> & { evidence: evidence.Evidence };

/** What was refused: what happened, what was seen, what to do next. `code` is stable; "unreachable" is our own. */
export class ApiError extends Error {
  constructor(
    readonly code: server.Error['code'] | 'unreachable' | 'not-enabled',
    readonly what: string,
    readonly seen: string,
    readonly todo: string
  ) {
    super([what, seen, todo].filter(Boolean).join(' '));
    this.name = 'ApiError';
  }
}

/** The only door to the workbench's server: one method per operation of its OpenAPI file. Each throws ApiError. */
export class Api {
  constructor(
    private readonly base: string,
    private readonly send: Send
  ) {}

  about(): Promise<server.About> {
    return this.get('about');
  }
  migrations(): Promise<server.Migrations> {
    return this.get('migrations');
  }
  journey(id: string): Promise<server.Journey> {
    return this.get(`migrations/${id}`);
  }
  propose(chosen: server.Chosen): Promise<server.Proposal> {
    return this.post('proposals', chosen);
  }
  create(proposal: string): Promise<server.Summary> {
    return this.post('migrations', { proposal });
  }
  copyNotebooks(id: string): Promise<server.Copies> {
    return this.post(`migrations/${id}/notebooks`, {});
  }
  runs(id: string): Promise<server.Runs> {
    return this.get(`migrations/${id}/runs`);
  }
  jobs(id: string): Promise<server.Jobs> {
    return this.get(`migrations/${id}/jobs`);
  }
  job(id: string, job: string): Promise<server.Job> {
    return this.get(`migrations/${id}/jobs/${job}`);
  }
  start(id: string, what: Partial<server.Start>): Promise<server.Job> {
    return this.post(`migrations/${id}/jobs`, what);
  }
  stop(id: string, job: string, force: boolean): Promise<server.Job> {
    return this.post(`migrations/${id}/jobs/${job}/stop`, { force });
  }
  evidence(id: string, audit: string, run?: string): Promise<EvidenceView> {
    return this.get(`migrations/${id}/evidence/${audit}${query({ run })}`);
  }
  findings(id: string, audit?: string, run?: string): Promise<server.Findings> {
    return this.get(`migrations/${id}/findings${query({ audit, run })}`);
  }
  compare(id: string, before: string, after: string): Promise<server.Comparison> {
    return this.get(`migrations/${id}/compare${query({ before, after })}`);
  }
  waive(id: string, waiver: server.Waiver): Promise<server.Waived> {
    return this.post(`migrations/${id}/waivers`, waiver);
  }
  explain(finding: string): Promise<server.Kind> {
    return this.get(`kinds/${finding}`);
  }
  schema(name: 'migration' | 'evidence'): Promise<Record<string, unknown>> {
    return this.get(`schemas/${name}`);
  }
  /** Address of a report as a page of its own, for a frame or a browser tab. */
  reportUrl(id: string, audit?: string, run?: string): string {
    return `${this.base}/migrations/${id}/report${query({ audit, run })}`;
  }

  /** Address of what a reviewer will see: the first page, or "cases", "decide", "notebook/bias". */
  previewUrl(id: string, page = ''): string {
    return `${this.base}/migrations/${id}/preview/${page}`;
  }

  /** What happens in a job, after event number `after`, until its last event or the connection's end. */
  async *events(id: string, job: string, after: number, signal: AbortSignal): AsyncGenerator<server.Event> {
    const headers = { Accept: 'text/event-stream', 'Last-Event-ID': String(after) };
    const response = await this.asked(`migrations/${id}/jobs/${job}/events`, { headers, signal });
    for await (const message of messages(response.body!)) {
      yield JSON.parse(message.data) as server.Event;
    }
  }

  private async get<T>(path: string): Promise<T> {
    return (await (await this.asked(path, {})).json()) as T;
  }

  private async post<T>(path: string, body: object): Promise<T> {
    const headers = { 'Content-Type': 'application/json' };
    return (await (await this.asked(path, { method: 'POST', headers, body: JSON.stringify(body) })).json()) as T;
  }

  private async asked(path: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      response = await this.send(`${this.base}/${path}`, init);
    } catch (error) {
      if (init.signal?.aborted) {
        throw error;
      }
      const todo = 'See whether it still runs, then try again.';
      throw new ApiError('unreachable', 'The Jupyter server does not answer.', '', todo);
    }
    if (!response.ok) {
      throw await refusal(response);
    }
    return response;
  }
}

function query(values: Record<string, string | undefined>): string {
  const given = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length ? `?${new URLSearchParams(given)}` : '';
}

async function refusal(response: Response): Promise<ApiError> {
  const told = (await response.json().catch(() => null)) as Partial<server.Error> | null;
  if (told?.code && told.what) {
    return new ApiError(told.code, told.what, told.seen ?? '', told.do ?? '');
  }
  const seen = `It answered ${response.status} ${response.statusText}`.trim() + '.';
  if (response.status === 404) {
    const todo = 'Run "jupyter server extension enable workbench.ui.server", then start JupyterLab again.';
    return new ApiError('not-enabled', "The workbench's server extension is not there.", seen, todo);
  }
  if (response.status === 401 || response.status === 403) {
    const todo = 'Sign in to Jupyter again, then reload this page.';
    return new ApiError('forbidden', 'The Jupyter server refused.', seen, todo);
  }
  return new ApiError('broke', 'The Jupyter server could not do that.', seen, "Its log says more; try again.");
}
