import { Changes } from './changes.ts';
import type { EventuallyOptions } from './eventually.ts';
import type { LogLine } from './processes/process-log.ts';

const shownLines = 30;

/** A log in memory, as the destination of a logger: `createLogger('debug', log)`. Tests wait for its lines. */
export class LogWatch {
  readonly lines: LogLine[] = [];
  readonly written: string[] = [];
  readonly #changes = new Changes();

  /** Receives one line of JSON from the logger. */
  write(text: string): void {
    this.written.push(text);
    this.lines.push(JSON.parse(text));
    this.#changes.notify();
  }

  of(msg: string): LogLine[] {
    return this.lines.filter((line) => line.msg === msg);
  }

  /**
   * The first line, past or future, that matches.
   *
   * @throws Error with the last lines, if no such line comes within a minute
   */
  line(msg: string | RegExp, accepts: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    const isWanted = (line: LogLine) =>
      (typeof msg === 'string' ? line.msg === msg : msg.test(line.msg)) && accepts(line);
    return this.until(`the log line ${msg}`, () => this.lines.find(isWanted));
  }

  /** The line with this `msg` that follows the first `count` of them. */
  lineAfter(count: number, msg: string): Promise<LogLine> {
    return this.until(`the log line ${msg} number ${count + 1}`, () => this.of(msg)[count]);
  }

  /**
   * Waits until the check is truthy. It runs now and after each line.
   *
   * @param what names the awaited state in the error
   * @throws Error with the last lines, after `timeout` ms
   */
  until<Result>(what: string, check: () => Result, options: EventuallyOptions = {}) {
    const detail = () => `; the log's last lines:\n${this.#end()}`;
    return this.#changes.until(check, what, { ...options, detail });
  }

  #end(): string {
    return this.written.slice(-shownLines).join('') || '(no line)';
  }
}
