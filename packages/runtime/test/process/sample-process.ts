import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { Changes, testRunEnvironment } from '@fairlead/testkit';
import type { Test } from 'tap';
import type { LogLine } from '../log-lines.ts';

/** A process of a program in `programs/`. */
export class SampleProcess {
  readonly child: ChildProcessWithoutNullStreams;
  /** The lines on stderr so far. */
  readonly lines: string[] = [];
  readonly stdout: Promise<string>;
  readonly #exit: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  readonly #changes = new Changes();

  constructor(
    t: Test,
    name: 'sample-program' | 'sample-command',
    argv: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ) {
    const path = fileURLToPath(new URL(`./programs/${name}.js`, import.meta.url));
    this.child = spawn(process.execPath, [path, ...argv], {
      env: {
        PATH: process.env.PATH,
        ...testRunEnvironment(),
        ...env,
      },
    });
    t.teardown(() => this.child.kill('SIGKILL'));
    this.stdout = text(this.child.stdout);
    this.#exit = once(this.child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    createInterface(this.child.stderr).on('line', (line) => {
      this.lines.push(line);
      this.#changes.notify();
    });
  }

  /** Waits until the process has ended and its output was read. Returns the exit code or the signal. */
  async exit(): Promise<number | NodeJS.Signals | null> {
    const [code, signal] = await this.#exit;
    return code ?? signal;
  }

  /** Waits for the first log line with this message. */
  log(msg: string): Promise<LogLine> {
    return this.#find(`a log line ${msg}`, () => this.logs().find((log) => log.msg === msg));
  }

  /** Waits for the first line on stderr with this text. */
  line(text: string): Promise<string> {
    return this.#find(`a line with ${text}`, () => this.lines.find((line) => line.includes(text)));
  }

  async #find<T extends object | string>(what: string, find: () => T | undefined): Promise<T> {
    return (await this.#changes.until(find, what)) as T;
  }

  logs(): LogLine[] {
    return this.lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  }
}
