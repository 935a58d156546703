import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultTimeoutMs } from '../eventually.ts';
import type { Started } from '../targets/listener.ts';
import { type LogLine, ProcessLog } from './process-log.ts';

/** The root of the repository, from this package's `dist` and `src`. */
export const workspaceRoot = fileURLToPath(new URL('../../../../', import.meta.url));

/**
 * The programs of this repository, as entry files. FAIRLEAD_BIN_DIR replaces them by binaries, so that
 * the same tests run with both.
 */
export const programs = {
  server: programFile('packages/server/bin/fairlead-server.js'),
  agent: programFile('packages/agent/bin/fairlead-agent.js'),
  cli: programFile('packages/cli/bin/fairlead.js'),
  /** One half of the bench's yardstick (tls-relay-main.ts). */
  tlsRelay: fileURLToPath(new URL('../tls-relay-main.js', import.meta.url)),
} as const;

function programFile(entryFile: string): string {
  const directory = process.env.FAIRLEAD_BIN_DIR;
  if (!directory) return join(workspaceRoot, entryFile);
  return resolve(workspaceRoot, directory, basename(entryFile, '.js'));
}

/** The command line of a program: `node ENTRY`, or the binary alone. */
export function commandOf(
  program: string,
  nodeArgs: readonly string[] = [],
): readonly [file: string, ...args: string[]] {
  if (/\.[cm]?js$/.test(program)) return [process.execPath, ...nodeArgs, program];
  if (nodeArgs.length > 0) throw new Error(`${program} takes no flags for node: ${nodeArgs}`);
  return [program];
}

/** The variable by which the test harness finds processes that a test left behind. */
export function testRunEnvironment(): { FAIRLEAD_TEST_RUN?: string } {
  const { FAIRLEAD_TEST_RUN } = process.env;
  return FAIRLEAD_TEST_RUN === undefined ? {} : { FAIRLEAD_TEST_RUN };
}

export interface ProcessOptions {
  /** Name in error texts; the entry file's name if left out. */
  readonly name?: string;
  /**
   * Added to a bare environment (PATH, HOME, TMPDIR and the mark of the test run): a proxy variable or
   * a NODE_OPTIONS of the caller must not reach the program.
   */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Opens stdin for `say`; otherwise stdin is closed. */
  readonly stdin?: 'pipe';
  /** Flags for node itself, before the entry file. */
  readonly nodeArgs?: readonly string[];
}

/** How a process ended; one of the two is null. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Time for a drain before the second SIGTERM, which ends Fairlead's programs at once. */
const secondTermAfterMs = 5_000;
const killAfterMs = 35_000;
const alive = new Set<ChildProcess>();

process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** A real program in a process of its own, with its log. */
export class RunningProcess implements Started {
  readonly name: string;
  readonly pid: number;
  /** Settles when the process has ended and its output is read; never rejects. */
  readonly exit: Promise<ProcessExit>;
  readonly #child: ChildProcess;
  readonly #log: ProcessLog;
  #stdout = '';
  #ended: ProcessExit | undefined;

  private constructor(child: ChildProcess, name: string) {
    this.#child = child;
    this.name = name;
    this.pid = child.pid!;
    alive.add(child);
    this.#log = new ProcessLog(child.stderr!);
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
    this.exit = once(child, 'close').then(([code, signal]) => {
      alive.delete(child);
      this.#ended = { code, signal };
      this.#log.changes.notify();
      return this.#ended;
    });
  }

  /**
   * Starts `node ENTRY ...ARGS`, or `ENTRY ...ARGS` for a binary. Resolves when the process exists, before
   * it has read its arguments.
   */
  static async start(
    entryFile: string,
    args: readonly string[],
    options: ProcessOptions = {},
  ): Promise<RunningProcess> {
    const [file, ...first] = commandOf(entryFile, options.nodeArgs);
    const name = options.name ?? basename(entryFile);
    return RunningProcess.startBinary(file, [...first, ...args], { ...options, name });
  }

  /** The same for a program that does not run in node. */
  static async startBinary(
    file: string,
    args: readonly string[],
    options: ProcessOptions = {},
  ): Promise<RunningProcess> {
    const { PATH = '', HOME = '', TMPDIR } = process.env;
    const child = spawn(file, args, {
      cwd: options.cwd ?? workspaceRoot,
      env: { PATH, HOME, TMPDIR, ...testRunEnvironment(), ...options.env },
      stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe'],
    });
    await once(child, 'spawn');
    return new RunningProcess(child, options.name ?? basename(file));
  }

  /** The log lines so far (stderr). */
  get logs(): readonly LogLine[] {
    return this.#log.lines;
  }

  get stdout(): string {
    return this.#stdout;
  }

  /** State, stdout and log of the process, for error texts. */
  describe(): string {
    const state = this.#ended ? describeExit(this.#ended) : 'running';
    return [`${this.name} (pid ${this.pid}, ${state})`, this.#stdout, this.#log]
      .map(String)
      .filter((part) => part !== '')
      .join('\n');
  }

  /**
   * The first log line, past or future, that the predicate accepts, or whose `msg` equals the string.
   * Rejects with the whole log after `timeoutMs`, or if the process ends without such a line.
   */
  waitForLog(
    wanted: string | ((line: LogLine) => boolean),
    timeoutMs = defaultTimeoutMs,
  ): Promise<LogLine> {
    const accepts = typeof wanted === 'string' ? (line: LogLine) => line.msg === wanted : wanted;
    let at = 0;
    // Each line once, because the predicate can count its calls.
    const next = () => {
      for (let line = this.logs[at]; line; line = this.logs[at]) {
        at++;
        if (accepts(line)) return line;
      }
      if (!this.#ended) return undefined;
      throw new Error(`${this.name}: ended without a log line for ${wanted}\n${this.describe()}`);
    };
    return this.#log.changes.until(next, `${this.name}: a log line for ${wanted}`, {
      timeout: timeoutMs,
      detail: () => `\n${this.describe()}`,
    });
  }

  /**
   * Waits for the `listening` line of the listener. Rejects as `waitForLog` does.
   * @returns its TCP address and port, or the path of its Unix domain socket; the rest is empty
   */
  async waitForListener(listener: string, timeoutMs = defaultTimeoutMs) {
    const line = await this.waitForLog(
      (candidate) => candidate.msg === 'listening' && candidate.listener === listener,
      timeoutMs,
    );
    return {
      address: String(line.address ?? ''),
      port: Number(line.port ?? 0),
      path: String(line.path ?? ''),
    };
  }

  say(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Sends a signal; without effect on a process that has ended. */
  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    this.#child.kill(signal);
  }

  /** Ends the process: SIGTERM, which is repeated after 5 s, and SIGKILL 30 s later. */
  async close(): Promise<void> {
    if (this.#ended) return;
    // A stopped process does not receive the SIGTERM.
    this.kill('SIGCONT');
    this.kill('SIGTERM');
    const timers = [
      setTimeout(() => this.kill('SIGTERM'), secondTermAfterMs),
      setTimeout(() => this.kill('SIGKILL'), killAfterMs),
    ];
    await this.exit;
    for (const timer of timers) clearTimeout(timer);
  }
}

function describeExit({ code, signal }: ProcessExit): string {
  return signal ? `ended by ${signal}` : `ended with exit code ${code}`;
}

/** Closes the process when the test ends, and prints its log if the test failed. */
export function closeAfter(
  test: {
    passing(): boolean;
    comment(text: string): void;
    teardown(cleanUp: () => Promise<void>): void;
  },
  running: RunningProcess,
): RunningProcess {
  test.teardown(async () => {
    await running.close();
    if (!test.passing()) test.comment(running.describe());
  });
  return running;
}
