import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFairleadPki, testPkiVariable } from '@fairlead/testkit';
import { findLeftovers, killAll } from './leftovers.ts';
import type { Report } from './report.ts';
import { killRunning, type RunContext, root, runFile } from './run-file.ts';
import { type Suite, type SuiteName, suites } from './suites.ts';

/** Variables of the caller that tests know; others that could change a program are left out. */
const passedVariables = new Set(['FAIRLEAD_BIN_DIR', 'FLOOD_SECONDS', 'FLOOD_ONLY']);

export interface RunOptions {
  /** The files to run, by suite. */
  readonly files: ReadonlyMap<SuiteName, readonly string[]>;
  /** Only tests whose names match this regular expression. */
  readonly grep?: string | undefined;
  /** Files at once, instead of what the suite says. */
  readonly jobs?: number | undefined;
  /** Seconds for each file, instead of what the suite says. */
  readonly timeoutS?: number | undefined;
  /** Seconds that the processes of a file can take to end after it. */
  readonly settleS?: number | undefined;
  /** A directory of `makeFairleadPki`; without it, the run makes its own. */
  readonly pki?: string | undefined;
  readonly report: Report;
}

/** Runs suites one after the other. What a run leaves behind is ended, listed, and a failure. */
export async function runSuites({
  files,
  grep,
  jobs,
  timeoutS,
  settleS = 30,
  pki,
  report,
}: RunOptions): Promise<void> {
  const id = randomBytes(6).toString('hex');
  const directory = mkdtempSync(join(tmpdir(), 'fl-'));
  const stop = (signal: NodeJS.Signals) => {
    killRunning();
    const left = findLeftovers({ value: id });
    killAll(left);
    removeDirectory(directory);
    report.addFailure(`ended by ${signal}`);
    report.end();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop);
  try {
    if (pki === undefined) await makeFairleadPki(join(directory, 'pki'));
    const env = { ...testEnvironment(grep), [testPkiVariable]: pki ?? join(directory, 'pki') };
    let number = 0;
    for (const [name, list] of files) {
      const suite: Suite = suites[name];
      const reason = suite.missing?.();
      if (reason !== undefined) {
        report.suiteIsSkipped(name, reason);
        continue;
      }
      report.suiteStarts(name, suite.purpose, list.length);
      if (suite.prepare && !prepare(suite.prepare)) {
        report.addFailure(`${name}: npm run ${suite.prepare.join(' ')} failed`);
        continue;
      }
      const queue = [...list];
      const context: RunContext = {
        root,
        id,
        directory,
        env: { ...env, ...suite.env },
        settleS,
      };
      const work = async () => {
        for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
          report.fileStarts(file);
          const job = { file, timeoutS: timeoutS ?? suite.fileTimeoutS };
          report.fileEnds(await runFile(context, job, number++));
        }
      };
      await Promise.all(Array.from({ length: jobs ?? suite.jobs }, work));
    }
    const left = findLeftovers({ value: id });
    killAll(left);
    if (left.length > 0) {
      const rows = left.map(({ pid, command }) => `  pid ${pid}: ${command}`);
      report.addFailure(`The run left processes behind:\n${rows.join('\n')}`);
    }
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, stop);
    removeDirectory(directory);
  }
}

/** Retries: a process that was just killed can still hold the directory. */
function removeDirectory(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

function prepare([script, ...args]: readonly string[]): boolean {
  const command = ['run', '--silent', script!, '--', ...args];
  return spawnSync('npm', command, { cwd: root, stdio: 'inherit' }).status === 0;
}

/** The caller's environment without what could change how a program under test behaves. */
function testEnvironment(grep: string | undefined): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => {
    if (/^(fairlead|flood)_/i.test(name)) return passedVariables.has(name);
    return !/^(tap|node_options|node_debug|.*_proxy|notify_socket|watchdog_.*)(_|$)/i.test(name);
  });
  return {
    ...Object.fromEntries(kept),
    ...(grep === undefined ? {} : { TAP_GREP: grep, TAP_FILTER_QUIETLY: '1' }),
  };
}
