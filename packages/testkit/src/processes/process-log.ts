import type { Readable } from 'node:stream';
import { Changes } from '../changes.ts';

/** One line of a program's log: pino's JSON, or only `msg` for a line that is not JSON. */
export interface LogLine {
  readonly msg: string;
  readonly level?: number | string;
  readonly [key: string]: unknown;
}

export class ProcessLog {
  readonly lines: LogLine[] = [];
  /** Notified after new lines. */
  readonly changes = new Changes();
  #rest = '';

  constructor(stream: Readable) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => this.#onText(text));
    stream.on('end', () => this.#onText(this.#rest === '' ? '' : '\n'));
  }

  toString(): string {
    return this.lines.map((line) => JSON.stringify(line)).join('\n');
  }

  #onText(text: string): void {
    const rows = (this.#rest + text).split('\n');
    this.#rest = rows.pop()!;
    this.lines.push(...rows.filter((row) => row !== '').map(parseRow));
    this.changes.notify();
  }
}

function parseRow(row: string): LogLine {
  if (!row.startsWith('{')) return { msg: row };
  try {
    return { msg: '', ...(JSON.parse(row) as object) };
  } catch {
    return { msg: row };
  }
}
