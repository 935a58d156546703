import type { Readable } from 'node:stream';

/** One line of a program's log: pino's JSON, or `{ msg }` alone for a line that is no JSON. */
export interface LogLine {
  readonly msg: string;
  readonly level?: number | string;
  readonly [key: string]: unknown;
}

/** The log of one process as it grows. */
export class ProcessLog {
  readonly lines: LogLine[] = [];
  readonly #watchers = new Set<(line: LogLine) => void>();
  #rest = '';

  /** Collects what `stream` carries. */
  collect(stream: Readable): void {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => this.#onText(text));
    stream.on('end', () => this.#onText(this.#rest === '' ? '' : '\n'));
  }

  /** Calls `watcher` for every line to come; the returned function ends that. */
  watch(watcher: (line: LogLine) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** All lines, one a row. */
  toString(): string {
    return this.lines.map((line) => JSON.stringify(line)).join('\n');
  }

  #onText(text: string): void {
    const rows = (this.#rest + text).split('\n');
    this.#rest = rows.pop()!;
    for (const row of rows) {
      if (row === '') continue;
      const line = parseRow(row);
      this.lines.push(line);
      for (const watcher of [...this.#watchers]) watcher(line);
    }
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
