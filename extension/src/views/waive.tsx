import { Dialog, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import type { Api } from '../api';
import type { Row } from '../server';
import type { Which } from './evidence';

const SHORTEST = 10;
const DAYS = 90;

type Given = { reason: string; expires: string };

/** Asks for a reason and a day, and writes the waiver to the ledger; whether it was. given: what was said before. */
export async function waive(
  api: Api,
  which: Which & { run: string },
  row: Row,
  trans: TranslationBundle,
  given: Given = { reason: '', expires: day(DAYS) }
): Promise<boolean> {
  const body = new Form(trans, given);
  const answer = await showDialog({
    title: trans.__('Accept for a time: %1', row.title),
    body,
    buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Accept in my name') })],
    focusNodeSelector: 'textarea'
  });
  if (!answer.button.accept || !answer.value) {
    return false;
  }
  const { reason, expires } = answer.value;
  if (reason.length < SHORTEST || !expires) {
    const message = trans.__('Give a reason of at least %1 characters, and the day it ends.', SHORTEST);
    await showErrorMessage(trans.__('Not accepted'), message);
    return waive(api, which, row, trans, answer.value);
  }
  try {
    await api.waive(which.migration, { key: row.key, run: which.run, reason, expires });
  } catch (error) {
    await showErrorMessage(trans.__('Not accepted'), error as Error);
    return waive(api, which, row, trans, answer.value);
  }
  return true;
}

class Form extends Widget implements Dialog.IBodyWidget<Given> {
  constructor(trans: TranslationBundle, given: Given) {
    super();
    this.addClass('mw');
    this.addClass('mw-waive');
    this.reason.rows = 4;
    this.reason.value = given.reason;
    this.reason.className = 'jp-mod-styled';
    this.expires.type = 'date';
    this.expires.className = 'jp-mod-styled';
    this.expires.min = day(1);
    this.expires.value = given.expires;
    const note = document.createElement('p');
    note.textContent = trans.__('It goes into the ledger with your name, and is shown wherever the finding is.');
    this.node.append(note, labelled(trans.__('Why is this acceptable?'), this.reason));
    this.node.append(labelled(trans.__('Until'), this.expires));
  }

  getValue(): Given {
    return { reason: this.reason.value.trim(), expires: this.expires.value };
  }

  private readonly reason = document.createElement('textarea');
  private readonly expires = document.createElement('input');
}

function labelled(text: string, field: HTMLElement): HTMLElement {
  const label = document.createElement('label');
  label.append(text, field);
  return label;
}

function day(ahead: number): string {
  return new Date(Date.now() + ahead * 86_400_000).toISOString().slice(0, 10);
}
