import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import type { Api } from './api';
import { ApiError } from './api';
import { dataFirst, folderOf, modelsFirst } from './files';
import type { Chosen, Proposal, Summary } from './server';

/** What a person may change of a proposal. */
export type Change = Partial<Pick<Chosen, 'target' | 'task' | 'positive' | 'protected'>>;

/** Names the files of a folder, relative to the server's root. */
export type Lister = (folder: string) => Promise<string[]>;

/** A migration that is not written yet: two files, and what the server proposes for them. Knows no page. */
export class Draft {
  constructor(
    private readonly api: Api,
    private readonly list: Lister,
    data: readonly string[],
    model: string
  ) {
    this._data = data;
    this._model = model;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }
  get data(): readonly string[] {
    return this._data;
  }
  get model(): string {
    return this._model;
  }
  /** Files beside those chosen that may be what is missing, likeliest first. */
  get beside(): { data: readonly string[]; models: readonly string[] } {
    return this._beside;
  }
  get proposal(): Proposal | null {
    return this._proposal;
  }
  get problem(): ApiError | null {
    return this._problem;
  }
  /** What is going on, "" for nothing. */
  get busy(): '' | 'looking' | 'writing' {
    return this._busy;
  }

  /** Looks around the chosen files, fills what is missing where there is only one way, and asks for a proposal. */
  async begin(): Promise<void> {
    const folder = folderOf(this._model || this._data[0] || '');
    const paths = await this.list(folder).catch(() => []);
    const data = dataFirst(paths);
    const models = modelsFirst(paths.filter(path => !data.includes(path)));
    this._beside = { data, models };
    // Only what leaves no choice is taken without asking; rows to judge on come first in the list.
    this._data = this._data.length ? this._data : data.length === 1 ? data : [];
    this._model = this._model || (models.length === 1 ? models[0] : '');
    this._changed.emit();
    await this.propose();
  }

  /** Takes other files. */
  async choose(data: readonly string[], model: string): Promise<void> {
    this._data = data;
    this._model = model;
    this._change = {};
    await this.propose();
  }

  /** Takes what the person says instead of what was proposed. */
  async change(change: Change): Promise<void> {
    this._change = { ...this._change, ...change };
    await this.propose();
  }

  /** Writes migration.yaml; null where that was refused, which `problem` says. */
  async create(): Promise<Summary | null> {
    const proposal = this._proposal;
    return proposal ? this.guarded('writing', () => this.api.create(proposal.proposal)) : null;
  }

  private async propose(): Promise<void> {
    const asked = ++this._asked;
    this._problem = null;
    if (!this._data.length || !this._model) {
      this._proposal = null;
      this._changed.emit();
      return;
    }
    const chosen: Chosen = { data: [...this._data], model: this._model, ...this._change };
    const proposal = await this.guarded('looking', () => this.api.propose(chosen), asked);
    if (asked === this._asked) {
      this._proposal = proposal;
      this._changed.emit();
    }
  }

  private async guarded<T>(busy: 'looking' | 'writing', work: () => Promise<T>, asked = this._asked): Promise<T | null> {
    this._busy = busy;
    this._changed.emit();
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      this._problem = asked === this._asked ? error : this._problem;
      return null;
    } finally {
      if (asked === this._asked) {
        this._busy = '';
        this._changed.emit();
      }
    }
  }

  private _changed = new Signal<this, void>(this);
  private _data: readonly string[];
  private _model: string;
  private _change: Change = {};
  private _beside: { data: readonly string[]; models: readonly string[] } = { data: [], models: [] };
  private _proposal: Proposal | null = null;
  private _problem: ApiError | null = null;
  private _busy: '' | 'looking' | 'writing' = '';
  private _asked = 0;
}
