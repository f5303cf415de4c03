import type { TranslationBundle } from '@jupyterlab/translation';
import type { Status } from './server';

/** Worst first, as everywhere in the workbench. */
export const ORDER: readonly Status[] = ['fail', 'error', 'absent', 'manual', 'warn', 'pass', 'info'];

/** A status in words: never colour or shape alone. */
export function statusWord(status: Status, trans: TranslationBundle): string {
  const words: Record<Status, string> = {
    fail: trans.__('blocks go-live'),
    error: trans.__('broke'),
    absent: trans.__('not assessed'),
    manual: trans.__('needs a person'),
    warn: trans.__('warning'),
    pass: trans.__('passed'),
    info: trans.__('info')
  };
  return words[status];
}

/** How long ago, in one unit: "now", "5 min", "2 h", "3 d". iso: UTC; now: milliseconds. */
export function age(iso: string, now: number, trans: TranslationBundle): string {
  const seconds = Math.max(0, (now - Date.parse(iso)) / 1000);
  if (!(seconds >= 60)) {
    return trans.__('now');
  }
  if (seconds < 3600) {
    return trans.__('%1 min', Math.floor(seconds / 60));
  }
  return seconds < 86400 ? trans.__('%1 h', Math.floor(seconds / 3600)) : trans.__('%1 d', Math.floor(seconds / 86400));
}

/** A stretch of time as a clock shows it: "0:07", "3:40", "1:02:03". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number): string => String(n).padStart(2, '0');
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** An audit's name as a title: "business_case" is "Business case". */
export function titled(audit: string): string {
  const words = audit.replace(/_/g, ' ').trim();
  return words ? words[0].toUpperCase() + words.slice(1) : audit;
}

/** A verdict's sentence as headline and the rest: ["Not ready: 1 thing blocks go-live.", "2 warnings."]. */
export function split(sentence: string): [string, string] {
  const comma = sentence.indexOf(', ');
  return comma < 0 ? [sentence, ''] : [`${sentence.slice(0, comma)}.`, sentence.slice(comma + 2)];
}

/** The first sentence of several. */
export function sentenceOf(text: string): string {
  const end = text.indexOf('. ');
  return end < 0 ? text : text.slice(0, end + 1);
}

/** A moment as the person's own clock and calendar say it. */
export function moment(iso: string, locale?: string): string {
  return new Date(iso).toLocaleString(locale, { dateStyle: 'medium', timeStyle: 'short' });
}

/** The run's number within its name: "20261122T185000Z-0004" is "4". */
export function runNumber(run: string): string {
  return String(Number(run.split('-').pop()));
}
