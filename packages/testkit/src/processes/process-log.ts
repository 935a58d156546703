import type { Readable } from 'node:stream';

/** One line of a program's log: pino's JSON, or only `msg` for a line that is not JSON. */
export interface LogLine {
  readonly msg: string;
  readonly level?: number | string;
  readonly [key: string]: unknown;
}

/** The log of a running process. */
export class ProcessLog {
  readonly lines: LogLine[] = [];
  readonly #watchers = new Set<(line: LogLine) => void>();
  #rest = '';

  /** Adds the lines of the stream. */
  collect(stream: Readable): void {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => this.#onText(text));
    stream.on('end', () => this.#onText(this.#rest === '' ? '' : '\n'));
  }

  /** Calls `watcher` for each future line, until the returned function is called. */
  watch(watcher: (line: LogLine) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** All lines as JSON. */
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
