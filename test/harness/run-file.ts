import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findLeftovers, killAll, type Leftover, type Mark, markVariable } from './leftovers.ts';
import { type Failure, TapResults } from './tap-results.ts';

/** What a run of many files has in common. */
export interface RunContext {
  /** The repository's root. */
  readonly root: string;
  /** Unique among the runs of this machine. */
  readonly id: string;
  /** The run's own temporary directory; its path is short, since socket paths are limited. */
  readonly directory: string;
  /** The environment of each test file, without what this module adds. */
  readonly env: NodeJS.ProcessEnv;
  /** How long the processes of a file that ended can take to end too. */
  readonly settleS: number;
}

/** One test file, and how long it can take. */
export interface FileJob {
  /** Source file, from the root: `packages/protocol/test/wire/codec.test.ts`. */
  readonly file: string;
  readonly timeoutS: number;
}

export interface FileResult {
  readonly file: string;
  readonly seconds: number;
  readonly passed: number;
  readonly skipped: readonly string[];
  readonly failures: readonly Failure[];
  /** What the file printed on stderr, and on stdout beside TAP: the last part. */
  readonly output: string;
}

const outputLimit = 32_768;
const killAfterMs = 10_000;
const lifeline = new URL('./lifeline.js', import.meta.url).href;

/** The processes of the test files that run now. */
const running = new Map<ChildProcess, Mark>();

/** Ends all test files that run now, with their children. */
export function killRunning(): void {
  for (const [, mark] of running) killAll(findLeftovers(mark));
}

/** Runs one test file in a process group and a temporary directory of its own. */
export async function runFile(
  { root, id, directory, env, settleS }: RunContext,
  { file, timeoutS }: FileJob,
  number: number,
): Promise<FileResult> {
  const startMs = performance.now();
  const temporary = join(directory, String(number));
  mkdirSync(temporary);
  const markValue = `${id}-${number}-`;
  const child = spawn(
    process.execPath,
    ['--enable-source-maps', `--import=${lifeline}`, compiled(root, file)],
    {
      cwd: root,
      // A group of its own, so that all of it can be found and ended.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: {
        ...env,
        TAP: '1',
        TAP_TIMEOUT: String(timeoutS),
        // Where tap makes the directories of t.testdir().
        TAP_CWD: temporary,
        TMPDIR: temporary,
        [markVariable]: markValue,
      },
    },
  );
  const mark: Mark = { group: child.pid!, value: markValue };
  running.set(child, mark);

  const results = new TapResults();
  let output = '';
  const keep = (text: string) => {
    output = (output + text).slice(-outputLimit);
  };
  results.onExtra = keep;
  child.stdout!.on('data', (chunk: Buffer) => results.write(chunk));
  child.stderr!.setEncoding('utf8').on('data', keep);

  let isLate = false;
  const timers = [
    setTimeout(() => {
      isLate = true;
      // tap then reports what it was waiting for.
      child.kill('SIGTERM');
    }, timeoutS * 1_000),
    setTimeout(() => child.kill('SIGKILL'), timeoutS * 1_000 + killAfterMs),
  ];
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  for (const timer of timers) clearTimeout(timer);
  const leftovers = await endLeftovers(mark, settleS);
  // The output ends only now: a process that was left behind held it open.
  if (child.stdout!.readable || child.stderr!.readable) await once(child, 'close');
  running.delete(child);

  const failures = [...results.end()];
  const addFailure = (name: string, detail = '') => failures.push({ name, detail });
  if (isLate) addFailure(`the file took longer than ${timeoutS} s`);
  else if (signal) addFailure(`the file's process was ended by ${signal}`);
  else if (code !== 0 && failures.length === 0) addFailure(`the file ended with exit code ${code}`);
  if (failures.length === 0 && results.passed === 0 && results.skipped.length === 0) {
    addFailure('the file ran no assertion');
  }
  if (leftovers.length > 0) {
    addFailure('processes were left behind', leftovers.map(describe).join('\n'));
  }
  const leftFiles = readdirSync(temporary).filter((name) => name !== '.tap');
  if (leftFiles.length > 0) addFailure('temporary files were left behind', leftFiles.join('\n'));
  rmSync(temporary, { recursive: true, force: true });
  return {
    file,
    seconds: (performance.now() - startMs) / 1_000,
    passed: results.passed,
    skipped: results.skipped,
    failures,
    output,
  };
}

/** The compiled twin of a test's source file. */
function compiled(root: string, file: string): string {
  return join(root, 'build', file.replace(/\.ts$/, '.js'));
}

/** Gives children that end the time to do so, then kills the others. @returns those killed */
async function endLeftovers(mark: Mark, settleS: number): Promise<Leftover[]> {
  const untilMs = performance.now() + settleS * 1_000;
  let found = findLeftovers(mark);
  while (found.length > 0 && performance.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    found = findLeftovers(mark);
  }
  killAll(found);
  return found;
}

function describe({ pid, command }: Leftover): string {
  return `pid ${pid}: ${command}`;
}

/** The repository's root, seen from the compiled harness. */
export const root = fileURLToPath(new URL('../../../', import.meta.url));
