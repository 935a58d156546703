import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The output directory of the scripts in bench/peers. */
const builtPeers = fileURLToPath(new URL('../../.peers/bin', import.meta.url));

/** On Debian, these directories are not in a user's PATH. */
const daemonDirectories = ['/usr/sbin', '/usr/local/sbin'];

/** The path of a program that bench/peers built or that is installed. Undefined if it is missing. */
export function findProgram(name: string): string | undefined {
  const directories = [
    builtPeers,
    ...(process.env.PATH ?? '').split(delimiter),
    ...daemonDirectories,
  ];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

/** @throws Error if the program is missing. `System.missing` finds that before a start. */
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
