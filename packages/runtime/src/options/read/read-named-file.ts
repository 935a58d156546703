import { readFileSync } from 'node:fs';
import { UsageError } from '../../process/startup-error.ts';

const cures: Readonly<Record<string, string>> = {
  ENOENT: 'file not found. Check the path and that the volume is mounted',
  ENOTDIR: 'file not found. A part of the path is not a directory',
  EACCES: 'permission denied. Let the user of this process read the file',
  EPERM: 'permission denied. Let the user of this process read the file',
  EISDIR: 'is a directory. Name a file in it',
};

/**
 * Reads a file that a flag, a variable or a key of the configuration file names.
 *
 * @param origin names the flag: `--server-cert`
 * @throws UsageError with the origin, the path and the cure
 */
export function readNamedFile(origin: string, path: string): string {
  return readNamedBytes(origin, path).toString('utf8');
}

/** The same for a binary file. @throws UsageError as `readNamedFile` does */
export function readNamedBytes(origin: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code = 'unknown', message } = error as NodeJS.ErrnoException;
    throw new UsageError(`${origin}: ${path}: ${cures[code] ?? `cannot read it: ${message}`}`, {
      cause: error,
    });
  }
}
