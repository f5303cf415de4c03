import { Token } from '@lumino/coreutils';
import type { Model } from './model';

/** The workbench's state in this JupyterLab, for other extensions too. */
export const IWorkbench = new Token<Model>(
  'migration-workbench:IWorkbench',
  'The migrations below the server root, the one at hand, and what runs in it.'
);
