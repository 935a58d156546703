import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the scripts of bench/peers put what they build. */
const builtPeers = fileURLToPath(new URL('../../.peers/bin', import.meta.url));

/** Debian keeps daemons out of an ordinary user's PATH. */
const daemons = ['/usr/sbin', '/usr/local/sbin'];

/** The path of a program that was built by bench/peers or is installed; undefined where it is missing. */
export function findProgram(name: string): string | undefined {
  const directories = [builtPeers, ...(process.env.PATH ?? '').split(delimiter), ...daemons];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

/**
 * Like `findProgram`, for a program whose absence was ruled out before.
 * @throws Error where it is missing all the same
 */
export function requireProgram(name: string): string {
  const path = findProgram(name);
  if (path === undefined) throw new Error(`${name} is not installed`);
  return path;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
