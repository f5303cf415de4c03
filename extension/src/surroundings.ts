import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import { nullTranslator } from '@jupyterlab/translation';
import type { Surroundings } from './views/context';

/** Sentences in the person's language, where a language pack has them. */
export function translation(translator: ITranslator | null): TranslationBundle {
  return (translator ?? nullTranslator).load('migration_workbench');
}

/** What views need of this application. */
export function surroundings(
  app: JupyterFrontEnd,
  translator: ITranslator | null,
  rendermime: IRenderMimeRegistry | null = null
): Surroundings {
  return { trans: translation(translator), commands: app.commands, rendermime };
}
