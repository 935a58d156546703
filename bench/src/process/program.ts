import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** How to start a program, and how to see that it is ready. */
export interface ProgramOptions {
  /** The name in error messages. */
  readonly name: string;
  /** The path of the executable. */
  readonly command: string;
  readonly args: readonly string[];
  /** Variables to add. Of the bench's own environment, the program gets only PATH and HOME. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /**
   * Lines on stdout or stderr. The program is ready when it has printed all of them. Without patterns, it is ready when
   * its process has started.
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

/** A running program: a part of a peer or of Fairlead. */
export class Program {
  readonly name: string;
  readonly pid: number;
  /** The matches of the `ready` patterns, in their order. */
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
   * Starts a program and waits until it is ready.
   * @throws Error with its last lines if it ends, or is not ready after 20 s
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

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends SIGTERM, and SIGKILL three seconds later. */
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
      // Read and discard all further output, because a full pipe would stop the program.
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
