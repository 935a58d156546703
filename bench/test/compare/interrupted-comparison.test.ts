/** A comparison receives SIGTERM while it builds another revision in a worktree. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import {
  closeAfter,
  eventually,
  makeTemporaryDirectory,
  RunningProcess,
  workspaceRoot,
} from '@fairlead/testkit';
import t from 'tap';

const compare = join(workspaceRoot, 'bench/dist/compare/main.js');

t.test(
  'an interrupted comparison stops its compiler and removes its directory and worktree',
  async (t) => {
    const directory = await makeTemporaryDirectory();
    t.teardown(() => directory.close());
    const temporary = directory.path;
    const env = { TMPDIR: temporary };
    const running = closeAfter(t, await RunningProcess.start(compare, ['HEAD'], { env }));
    await eventually('the compiler runs in the worktree', () => {
      if (processesIn(temporary).some(isCompiler)) return true;
      throw new Error(running.describe());
    });
    running.kill('SIGTERM');
    t.same(await running.exit, { code: 143, signal: null });
    t.same(processesIn(temporary), [], 'no compiler is left running');
    t.same(readdirSync(temporary), []);
    const worktrees = execFileSync('git', ['-C', workspaceRoot, 'worktree', 'list'], {
      encoding: 'utf8',
    });
    t.notMatch(worktrees, temporary);
  },
);

function isCompiler(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('typescript/bin/tsc');
  } catch {
    return false;
  }
}

/** Processes whose working directory is this directory or below it. */
function processesIn(path: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`).startsWith(path);
    } catch {
      return false;
    }
  });
}
