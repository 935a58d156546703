import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { makeTemporaryDirectory, testRunEnvironment, workspaceRoot } from '@fairlead/testkit';

const blockTimeoutMs = 120_000;
/** For blocks that install packages and build. A busy machine takes many times as long as an idle one. */
const installTimeoutMs = 1_200_000;
const killAfterMs = 5_000;
const bin = join(workspaceRoot, 'node_modules', '.bin');

/** The outcome of a block. */
export interface BlockResult {
  /** null if the block took too long and was killed. */
  readonly code: number | null;
  readonly output: string;
}

/**
 * Runs the blocks of one page in an empty directory. The built programs are on the PATH and available to npx.
 * If this process can create a network namespace, the session has its own, so that the printed ports are free
 * and nothing outside is reachable.
 */
export class DocSession {
  readonly #directory: string;
  readonly #close: () => Promise<void>;
  readonly #network: ChildProcess | undefined;
  readonly #timeoutMs: number;
  readonly #env: NodeJS.ProcessEnv;
  #background: ChildProcess[] = [];

  private constructor(options: {
    readonly directory: string;
    readonly close: () => Promise<void>;
    readonly network: ChildProcess | undefined;
    readonly timeoutMs: number;
    readonly env: NodeJS.ProcessEnv;
  }) {
    this.#directory = options.directory;
    this.#close = options.close;
    this.#network = options.network;
    this.#timeoutMs = options.timeoutMs;
    this.#env = options.env;
  }

  static async start(): Promise<DocSession> {
    const directory = await makeTemporaryDirectory();
    symlinkSync(join(workspaceRoot, 'node_modules'), join(directory.path, 'node_modules'));
    return new DocSession({
      directory: directory.path,
      close: () => directory.close(),
      network: await startNetwork(),
      timeoutMs: blockTimeoutMs,
      env: {
        ...testRunVariables(),
        PATH: [bin, process.env.PATH].join(delimiter),
        HOME: directory.path,
        // npx runs installed programs only.
        npm_config_offline: 'true',
      },
    });
  }

  /** Runs blocks in an existing directory, with this machine's network. */
  static async startIn(directory: string): Promise<DocSession> {
    const { PATH, HOME } = process.env;
    return new DocSession({
      directory,
      close: async () => {},
      network: undefined,
      timeoutMs: installTimeoutMs,
      env: { ...testRunVariables(), PATH, HOME },
    });
  }

  /** Runs a block to its end, as `sh -e` does. */
  async run(code: string): Promise<BlockResult> {
    const child = this.#spawn(code);
    const read = collect(child);
    const timer = setTimeout(() => killGroup(child, 'SIGKILL'), this.#timeoutMs);
    const [exitCode] = await once(child, 'close');
    clearTimeout(timer);
    return { code: exitCode, output: read() };
  }

  /**
   * Starts a block that keeps running, and waits until its output has the text.
   * Rejects with the output if the block ends first, or if the text does not appear in time.
   */
  async runInBackground(code: string, until: string): Promise<void> {
    const child = this.#spawn(code);
    this.#background.push(child);
    const read = collect(child);
    await new Promise<void>((resolve, reject) => {
      const fail = (what: string) => reject(new Error(`${what} without "${until}":\n${read()}`));
      const timer = setTimeout(() => fail(`${this.#timeoutMs / 1000} s passed`), this.#timeoutMs);
      child.once('close', () => {
        clearTimeout(timer);
        fail('it ended');
      });
      const look = () => {
        if (!read().includes(until)) return;
        clearTimeout(timer);
        resolve();
      };
      child.stdout!.on('data', look);
      child.stderr!.on('data', look);
    });
  }

  /** Ends the background blocks, the last one first. */
  async endBackground(): Promise<void> {
    for (const child of this.#background.reverse()) await end(child);
    this.#background = [];
  }

  async close(): Promise<void> {
    await this.endBackground();
    if (this.#network) await end(this.#network);
    await this.#close();
  }

  #spawn(code: string): ChildProcess {
    const [file, args] = inNetwork(this.#network, 'sh', ['-e', '-c', code]);
    return spawn(file, args, {
      cwd: this.#directory,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: this.#env,
    });
  }
}

/** Variables that mark a process as part of this test run. */
function testRunVariables(): NodeJS.ProcessEnv {
  return { TMPDIR: process.env.TMPDIR, ...testRunEnvironment() };
}

/** Starts a process with a new network namespace; undefined if that is not permitted. */
async function startNetwork(): Promise<ChildProcess | undefined> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined;
  const script = 'ip link set lo up && echo up && exec sleep 3600';
  const child = spawn('unshare', ['-n', 'sh', '-c', script], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const isUp = await Promise.race([
    once(child.stdout!, 'data').then(() => true),
    once(child, 'error').then(() => false),
    once(child, 'close').then(() => false),
  ]);
  if (!isUp) return undefined;
  try {
    execFileSync('nsenter', ['-t', String(child.pid), '-n', 'true']);
    return child;
  } catch {
    await end(child);
    return undefined;
  }
}

function inNetwork(
  network: ChildProcess | undefined,
  file: string,
  args: readonly string[],
): [string, string[]] {
  if (!network) return [file, [...args]];
  return ['nsenter', ['-t', String(network.pid), '-n', file, ...args]];
}

function collect(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  }
  return () => text;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  killGroup(child, 'SIGTERM');
  const timer = setTimeout(() => killGroup(child, 'SIGKILL'), killAfterMs);
  await closed;
  clearTimeout(timer);
}

/** Signals the shell and its children; the shell leads its own process group. */
function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, signal);
  } catch {
    // The group has ended.
  }
}
