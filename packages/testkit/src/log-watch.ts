import type { LogLine } from './processes/process-log.ts';

// Kept from before a test can take control of time: a wait must end by the real clock.
const { setTimeout: realSetTimeout, clearTimeout: realClearTimeout } = globalThis;

const defaultTimeoutMs = 60_000;
const shownLines = 30;

/** A log in memory that can be waited for. It is the destination of a logger: `createLogger('debug', log)`. */
export class LogWatch {
  readonly lines: LogLine[] = [];
  /** What was written, as it was. */
  readonly written: string[] = [];
  readonly #checks = new Set<() => void>();

  /** Takes one line of JSON, as a logger writes it. */
  write(text: string): void {
    this.written.push(text);
    this.lines.push(JSON.parse(text));
    for (const check of [...this.#checks]) check();
  }

  /** The lines with this text so far. */
  of(msg: string): LogLine[] {
    return this.lines.filter((line) => line.msg === msg);
  }

  /**
   * The first line, past or future, that has the text and passes.
   *
   * @throws Error with the last lines, if no such line comes within a minute
   */
  line(msg: string | RegExp, accepts: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    const isWanted = (line: LogLine) =>
      (typeof msg === 'string' ? line.msg === msg : msg.test(line.msg)) && accepts(line);
    return this.until(`the log line ${msg}`, () => this.lines.find(isWanted));
  }

  /** The line with the text that comes after the first `count` of them. */
  lineAfter(count: number, msg: string): Promise<LogLine> {
    return this.until(`the log line ${msg} number ${count + 1}`, () => this.of(msg)[count]);
  }

  /**
   * Waits until the check, which is made after each line, returns something truthy, and returns that.
   *
   * @param what names the awaited state in the error
   * @throws Error with the last lines, after `timeout` ms
   */
  until<Result>(
    what: string,
    check: () => Result,
    { timeout = defaultTimeoutMs }: { readonly timeout?: number } = {},
  ): Promise<NonNullable<Result>> {
    return new Promise((resolve, reject) => {
      const finish = () => {
        realClearTimeout(timer);
        this.#checks.delete(onLine);
      };
      const timer = realSetTimeout(() => {
        finish();
        reject(
          new Error(`not within ${timeout} ms: ${what}; the log's last lines:\n${this.#end()}`),
        );
      }, timeout);
      const onLine = () => {
        try {
          const result = check();
          if (!result) return;
          finish();
          resolve(result);
        } catch (error) {
          finish();
          reject(error);
        }
      };
      this.#checks.add(onLine);
      onLine();
    });
  }

  #end(): string {
    return this.written.slice(-shownLines).join('') || '(no line)';
  }
}
