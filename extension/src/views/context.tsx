import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';
import { nullTranslator } from '@jupyterlab/translation';

/** What every view needs of the application. rendermime: null where nothing draws charts. */
export type Surroundings = {
  trans: TranslationBundle;
  commands: CommandRegistry;
  rendermime: IRenderMimeRegistry | null;
};

const Context = React.createContext<Surroundings | null>(null);

export const Provided = Context.Provider;

export function useSurroundings(): Surroundings {
  const found = React.useContext(Context);
  if (!found) {
    throw new Error('A view was drawn outside of its surroundings.');
  }
  return found;
}

export function useTrans(): TranslationBundle {
  return React.useContext(Context)?.trans ?? nullTranslator.load('migration_workbench');
}

/** Draws again every so many milliseconds while it is on the page; 0 for never. Gives the time now. */
export function useNow(milliseconds: number): number {
  const [now, setNow] = React.useState(Date.now());
  React.useEffect(() => {
    if (!milliseconds) {
      return undefined;
    }
    const timer = setInterval(() => setNow(Date.now()), milliseconds);
    return () => clearInterval(timer);
  }, [milliseconds]);
  return now;
}
