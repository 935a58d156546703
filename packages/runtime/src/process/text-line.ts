/** A log line for people: the same content as the line in JSON. */
import { escapeJsonLine, printable } from './text.ts';

interface ParsedLine extends Readonly<Record<string, unknown>> {
  readonly time: string;
  readonly level: string;
  readonly msg?: string;
  readonly err?: { readonly message?: string; readonly stack?: string };
}

/** A value that needs no quotes. */
const word = /^[\w./:@%+,*-]+$/;

/** `12:00:00.000 WARN  agent refused  address=127.0.0.1:1`, in UTC; the stack of an error follows on its own lines. */
export function textLine(json: string): string {
  const { time, level, msg = '', err, ...fields } = JSON.parse(json) as ParsedLine;
  const shown = Object.entries({ ...fields, ...(err && { err: err.message ?? '' }) });
  const texts = shown.map(([name, value]) => `${printable(name)}=${valueText(value)}`);
  const head = `${time.slice(11, 23)} ${level.toUpperCase().padEnd(5)} ${printable(msg)}`;
  const frames = (err?.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const lines = [[head, texts.join(' ')].filter((part) => part !== '').join('  '), ...frames];
  return `${lines.map(printable).join('\n')}\n`;
}

function valueText(value: unknown): string {
  if (typeof value === 'string' && word.test(value)) return value;
  return escapeJsonLine(JSON.stringify(value));
}
