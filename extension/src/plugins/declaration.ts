import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { CompletionHandler, ICompletionContext, ICompletionProvider } from '@jupyterlab/completer';
import { ICompletionProviderManager } from '@jupyterlab/completer';
import { ITranslator } from '@jupyterlab/translation';
import type { Api } from '../api';
import type { Schema } from '../completion';
import { offered } from '../completion';
import { migrationIcon } from '../icons';
import type { Model } from '../model';
import { translation } from '../surroundings';
import { IWorkbench } from '../tokens';

const FILE = /(^|\/)migration\.ya?ml$/;

/** migration.yaml as a kind of file: its icon, and what its schema allows where one writes. */
export const declaration: JupyterFrontEndPlugin<void> = {
  id: 'migration-workbench:declaration',
  description: 'The file type of migration.yaml, with completion from its schema.',
  autoStart: true,
  requires: [IWorkbench],
  optional: [ICompletionProviderManager, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    model: Model,
    completions: ICompletionProviderManager | null,
    translator: ITranslator | null
  ): void => {
    app.docRegistry.addFileType({
      name: 'migration-yaml',
      displayName: translation(translator).__('Migration'),
      pattern: '^migration\\.ya?ml$',
      mimeTypes: ['text/x-yaml'],
      icon: migrationIcon,
      fileFormat: 'text',
      contentType: 'file'
    });
    completions?.registerProvider(new Provider(model.api));
  }
};

class Provider implements ICompletionProvider {
  readonly identifier = 'migration-workbench:schema';
  readonly rank = 1000;
  readonly renderer = null;

  constructor(private readonly api: Api) {}

  async isApplicable(context: ICompletionContext): Promise<boolean> {
    const path = (context.widget as { context?: { path?: string } }).context?.path;
    return FILE.test(path ?? '');
  }

  async fetch(request: CompletionHandler.IRequest): Promise<CompletionHandler.ICompletionItemsReply> {
    const schema = (this.schema ??= this.api.schema('migration') as Promise<Schema>);
    const offer = offered(await schema, request.text, request.offset);
    const items = offer.items.map(one => ({
      label: one.label,
      insertText: one.insert,
      type: one.kind,
      documentation: one.about
    }));
    return { start: offer.start, end: offer.end, items };
  }

  private schema: Promise<Schema> | undefined;
}
