/** A minimal Debian in a directory, to run programs in with chroot. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeTemporaryDirectory, RunningProcess, workspaceRoot } from '@fairlead/testkit';
import type { Test } from 'tap';

/** Created once, which takes a minute and needs a Debian mirror. */
const cachedRoot = join(workspaceRoot, 'scripts/.debian-root');

/** Why this machine cannot create a Debian root, or undefined. */
export function debianRootSkipReason(): string | undefined {
  if (process.getuid?.() !== 0) return 'SKIPPED: chroot needs root';
  if (spawnSync('debootstrap', ['--version']).status !== 0) {
    return 'SKIPPED: debootstrap is missing, so nothing was tested in a minimal Debian';
  }
  return undefined;
}

/** A copy of the root. The teardown deletes it. */
export class DebianRoot {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(t: Test): Promise<DebianRoot> {
    if (!existsSync(cachedRoot)) {
      const incoming = `${cachedRoot}.${process.pid}`;
      t.teardown(() => rmSync(incoming, { recursive: true, force: true }));
      execFileSync('debootstrap', ['--variant=minbase', 'bookworm', incoming], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      renameSync(incoming, cachedRoot);
    }
    const directory = await makeTemporaryDirectory();
    t.teardown(() => directory.close());
    const path = join(directory.path, 'root');
    execFileSync('cp', ['--archive', '--reflink=auto', cachedRoot, path]);
    return new DebianRoot(path);
  }

  /** Runs a command to its end, as root, and returns its stdout. */
  run(file: string, ...args: string[]): string {
    return execFileSync('chroot', [this.path, file, ...args], {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Starts a program in the root, with this machine's network. */
  start(file: string, args: readonly string[], user = 'root'): Promise<RunningProcess> {
    return RunningProcess.startBinary('chroot', [`--userspec=${user}`, this.path, file, ...args], {
      name: file,
    });
  }
}
