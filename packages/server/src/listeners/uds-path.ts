import { promises as fs, type Stats } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { StartupError, UsageError } from '@fairlead/runtime/process';

/** What `sun_path` holds on Linux, less its closing zero byte. */
const maxPathBytes = 107;

export interface UdsClaim {
  /** A server that still answers on the path loses it to us; its connections stay its own. */
  readonly takeover: boolean;
  /** Whether a socket that nobody answers on may be replaced. */
  readonly deleteExisting: boolean;
}

/** Where to listen first; the socket is then renamed over `path`, which is never without one. */
export function temporaryUdsPath(path: string): string {
  return `${path}.${process.pid}`;
}

/**
 * Checks that the path may become ours.
 *
 * @throws UsageError the path is too long, its directory is missing, or it is no socket
 * @throws StartupError another server listens there, or the path cannot be examined
 */
export async function checkUdsPath(path: string, claim: UdsClaim): Promise<void> {
  const longest = Buffer.byteLength(temporaryUdsPath(path));
  if (longest > maxPathBytes) {
    const limit = maxPathBytes - (longest - Buffer.byteLength(path));
    throw new UsageError(
      `--uds-name ${path}: the path has ${Buffer.byteLength(path)} bytes, at most ${limit} fit into a socket address; use a shorter path`,
    );
  }
  const found = await statOf(path);
  if (!found) {
    // Node reports the missing directory as a lack of permission.
    if (await statOf(dirname(path))) return;
    throw new UsageError(`--uds-name ${path}: the directory does not exist; create it`);
  }
  if (!found.isSocket()) {
    throw new UsageError(
      `--uds-name ${path}: this exists and is not a socket; remove it or use another path`,
    );
  }
  const state = await probe(path);
  if (state === 'live' && !claim.takeover) {
    throw new StartupError(
      `--uds-name ${path}: another process listens there; stop it, or take the path over with --uds-takeover`,
    );
  }
  if (state === 'stale' && !claim.deleteExisting) {
    throw new StartupError(
      `--uds-name ${path}: a socket of an ended process is there and --delete-existing-uds-file=false; remove it`,
    );
  }
}

/** Removes what a process with our PID left at the temporary path when it was killed. */
export async function clearTemporaryUdsPath(path: string): Promise<void> {
  const temporary = temporaryUdsPath(path);
  const found = await statOf(temporary);
  if (found?.isSocket() && (await probe(temporary)) === 'stale') await fs.unlink(temporary);
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await fs.lstat(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new StartupError(`--uds-name ${path}: ${message}`, { cause: error });
  }
}

/** Whether somebody accepts connections on a socket's path. */
function probe(path: string): Promise<'live' | 'stale' | 'gone'> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve('live');
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // A full backlog is somebody's, too.
      if (error.code === 'EAGAIN') resolve('live');
      else if (error.code === 'ECONNREFUSED') resolve('stale');
      else if (error.code === 'ENOENT') resolve('gone');
      else reject(new StartupError(`--uds-name ${path}: ${error.message}`, { cause: error }));
    });
  });
}
