import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** How a program is started and how it says that it is ready. */
export interface ProgramOptions {
  /** For error texts. */
  readonly name: string;
  /** Path of the executable. */
  readonly command: string;
  readonly args: readonly string[];
  /** Added to PATH and HOME; nothing else of the caller's environment is handed on. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /**
   * Lines, on stdout or stderr, that have all come when the program is ready; without any,
   * spawning is enough.
   */
  readonly ready?: readonly RegExp[];
}

const readyTimeoutMs = 20_000;
const killAfterMs = 3_000;
const keptLines = 40;
const alive = new Set<ChildProcess>();

process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** A program of any language in a process of its own: a peer, or a half of ours. */
export class Program {
  readonly name: string;
  readonly pid: number;
  /** What the `ready` patterns matched, in their order. */
  readonly matches: readonly RegExpExecArray[];
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  private constructor(name: string, child: ChildProcess, matches: RegExpExecArray[]) {
    this.name = name;
    this.pid = child.pid!;
    this.matches = matches;
    this.#child = child;
    this.#exited = child.exitCode === null ? once(child, 'exit') : Promise.resolve();
  }

  /**
   * Starts a program and waits until it is ready. Rejects with its last lines when it ends first
   * or is not ready after 20 s.
   */
  static async start(options: ProgramOptions): Promise<Program> {
    const { name, command, args, ready = [] } = options;
    const { PATH = '', HOME = '' } = process.env;
    const child = spawn(command, args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { PATH, HOME, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    await once(child, 'spawn');
    alive.add(child);
    child.once('exit', () => alive.delete(child));
    try {
      return new Program(name, child, await waitForLines(child, ready));
    } catch (error) {
      child.kill('SIGKILL');
      throw new Error(`${name}: ${(error as Error).message}`);
    }
  }

  /** Without effect on a program that has ended. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGTERM, and SIGKILL three seconds later. */
  async close(): Promise<void> {
    if (!alive.has(this.#child)) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), killAfterMs);
    await this.#exited;
    clearTimeout(timer);
  }
}

function waitForLines(child: ChildProcess, wanted: readonly RegExp[]): Promise<RegExpExecArray[]> {
  return new Promise((resolve, reject) => {
    const last: string[] = [];
    const matches: RegExpExecArray[] = [];
    const outputs = [child.stdout!, child.stderr!];
    const readers = outputs.map((output) => createInterface(output));
    const settle = () => {
      clearTimeout(timer);
      for (const reader of readers) reader.close();
      // What follows is read, since a full pipe would stop the program, and thrown away unseen.
      for (const output of outputs) output.on('data', () => {}).resume();
    };
    const fail = (problem: string) => {
      settle();
      reject(new Error([problem, ...last].join('\n  ')));
    };
    const timer = setTimeout(() => fail(`not ready after ${readyTimeoutMs} ms`), readyTimeoutMs);
    const finishIfReady = () => {
      for (let i = 0; i < wanted.length; i++) if (!matches[i]) return;
      settle();
      resolve(matches);
    };
    const onLine = (line: string) => {
      last.push(line);
      if (last.length > keptLines) last.shift();
      wanted.forEach((pattern, i) => {
        const match = pattern.exec(line);
        if (match) matches[i] ??= match;
      });
      finishIfReady();
    };
    for (const reader of readers) reader.on('line', onLine);
    child.once('close', (code, signal) => fail(`ended with ${signal ?? `exit code ${code}`}`));
    finishIfReady();
  });
}
