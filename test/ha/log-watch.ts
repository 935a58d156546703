import { EventEmitter, once } from 'node:events';
import { createLogger, type Logger } from '@fairlead/runtime';

export type LogLine = Readonly<Record<string, unknown>>;

/** A log in memory that can be waited for. */
export class LogWatch {
  readonly lines: LogLine[] = [];
  readonly logger: Logger;
  readonly #events = new EventEmitter().setMaxListeners(0);

  constructor(level: 'info' | 'debug' = 'info') {
    this.logger = createLogger(level, {
      write: (text) => {
        this.lines.push(JSON.parse(text));
        this.#events.emit('line');
      },
    });
  }

  of(msg: string): LogLine[] {
    return this.lines.filter((line) => line.msg === msg);
  }

  /** Waits until the condition, which is looked at after each line, holds. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this.#events, 'line');
  }

  /** Waits for the line with this text that comes after the first `skip` of them. */
  async line(msg: string, skip = 0): Promise<LogLine> {
    await this.until(() => this.of(msg).length > skip);
    return this.of(msg)[skip]!;
  }
}
