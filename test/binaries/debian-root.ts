/** A Debian with nothing in it, for programs to be started in. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeTemporaryDirectory, RunningProcess, workspaceRoot } from '@fairlead/testkit';
import type { Test } from 'tap';

/** Made once, which takes a minute and a Debian mirror. */
const keptRoot = join(workspaceRoot, 'scripts/.debian-root');

/** Why there can be none here; undefined if there can. */
export function whyNoDebianRoot(): string | undefined {
  if (process.getuid?.() !== 0) return 'SKIPPED: only root may chroot';
  if (spawnSync('debootstrap', ['--version']).status !== 0) {
    return 'SKIPPED: there is no debootstrap, so nothing was started in an empty Debian';
  }
  return undefined;
}

/** A copy of the root, which ends with the test. */
export class DebianRoot {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(t: Test): Promise<DebianRoot> {
    if (!existsSync(keptRoot)) {
      const incoming = `${keptRoot}.${process.pid}`;
      t.teardown(() => rmSync(incoming, { recursive: true, force: true }));
      execFileSync('debootstrap', ['--variant=minbase', 'bookworm', incoming], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      renameSync(incoming, keptRoot);
    }
    const directory = await makeTemporaryDirectory();
    t.teardown(() => directory.close());
    const path = join(directory.path, 'root');
    execFileSync('cp', ['--archive', '--reflink=auto', keptRoot, path]);
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

  /** Starts a program there, on this machine's network. */
  start(file: string, args: readonly string[], user = 'root'): Promise<RunningProcess> {
    return RunningProcess.startBinary('chroot', [`--userspec=${user}`, this.path, file, ...args], {
      name: file,
    });
  }
}
