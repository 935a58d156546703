import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { runProgram } from '../process/run-program.ts';

/** Our own packages: the links of a checkout must lead into that checkout. */
const scope = '@fairlead';
/** What was killed a moment ago may still have a file under way. */
const removeRetries = 10;

/** Another revision, checked out beside this one and built. */
export interface Worktree {
  readonly root: string;
  /** The commit's abbreviated hash. */
  readonly commit: string;
  close(): Promise<void>;
}

/**
 * Checks `revision` out into `directory` as a temporary git worktree and builds server and agent.
 * Dependencies are shared with this checkout by links while both have the same lock file, and
 * installed otherwise.
 */
export async function buildWorktree(
  here: string,
  revision: string,
  directory: string,
): Promise<Worktree> {
  const root = join(directory, 'base');
  const git = (...args: string[]) => runProgram('git', ['-C', here, ...args]);
  await git('rev-parse', '--verify', '--quiet', `${revision}^{commit}`).catch(() => {
    throw new Error(`git knows no commit ${revision}`);
  });
  const close = async () => {
    process.off('exit', remove);
    remove();
  };
  const remove = () => {
    // Before git looks: it must not follow the links.
    rmSync(root, { recursive: true, force: true, maxRetries: removeRetries });
    // One that was interrupted while git made it is locked.
    spawnSync('git', ['-C', here, 'worktree', 'unlock', root]);
    execFileSync('git', ['-C', here, 'worktree', 'prune']);
  };
  process.once('exit', remove);
  try {
    await git('worktree', 'add', '--detach', root, revision);
    if (lockFile(here) === lockFile(root)) shareDependencies(here, root);
    else await runProgram('npm', ['ci'], { cwd: root });
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    await runProgram(process.execPath, [compiler, '-b', 'packages/server', 'packages/agent'], {
      cwd: root,
    });
    const commit = (await git('rev-parse', '--short', revision)).trim();
    return { root, commit, close };
  } catch (error) {
    await close();
    throw new Error(`cannot build ${revision}: ${(error as Error).message}`);
  }
}

function lockFile(root: string): string {
  return readFileSync(join(root, 'package-lock.json'), 'utf8');
}

function shareDependencies(from: string, to: string): void {
  linkEntries(join(from, 'node_modules'), join(to, 'node_modules'));
  for (const name of readdirSync(join(to, 'packages'))) {
    const modules = join(from, 'packages', name, 'node_modules');
    if (existsSync(modules)) linkEntries(modules, join(to, 'packages', name, 'node_modules'));
  }
}

function linkEntries(from: string, to: string): void {
  mkdirSync(to);
  for (const entry of readdirSync(from)) {
    if (entry === scope) copyLinks(join(from, entry), join(to, entry));
    else symlinkSync(join(from, entry), join(to, entry));
  }
}

/** Relative links, as npm makes them for workspaces: copied, they lead into the new checkout. */
function copyLinks(from: string, to: string): void {
  mkdirSync(to);
  for (const entry of readdirSync(from)) {
    symlinkSync(readlinkSync(join(from, entry)), join(to, entry));
  }
}
