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

/** The scope of our packages. Their links must lead into their own checkout. */
const scope = '@fairlead';
/** A killed process can still create files for a moment. */
const removeRetries = 10;

/** A built checkout of another revision. */
export interface Worktree {
  readonly root: string;
  /** The commit's abbreviated hash. */
  readonly commit: string;
  close(): Promise<void>;
}

/**
 * Checks out `revision` in `directory` as a temporary git worktree, and builds server and agent. If both revisions have
 * the same lock file, the worktree links to the dependencies of this checkout. Otherwise it installs its own.
 * @throws Error if the revision does not exist or does not build
 */
export async function buildWorktree(
  here: string,
  revision: string,
  directory: string,
): Promise<Worktree> {
  const root = join(directory, 'base');
  const git = (...args: string[]) => runProgram('git', ['-C', here, ...args]);
  await git('rev-parse', '--verify', '--quiet', `${revision}^{commit}`).catch(() => {
    throw new Error(`${revision}: git has no such commit`);
  });
  const close = async () => {
    process.off('exit', remove);
    remove();
  };
  const remove = () => {
    // Before git prunes, so that git does not follow the links.
    rmSync(root, { recursive: true, force: true, maxRetries: removeRetries });
    // If git is interrupted while it creates a worktree, the worktree stays locked.
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

/** Copies npm's workspace links. They are relative, so the copies lead into the new checkout. */
function copyLinks(from: string, to: string): void {
  mkdirSync(to);
  for (const entry of readdirSync(from)) {
    symlinkSync(readlinkSync(join(from, entry)), join(to, entry));
  }
}
