import { readFileSync } from 'node:fs';
import { UsageError } from '../../process/usage-error.ts';

const cures: Readonly<Record<string, string>> = {
  ENOENT: 'no such file; check the path and that the volume is mounted',
  ENOTDIR: 'no such file; a part of the path is not a directory',
  EACCES: 'permission denied; let the user of this process read it',
  EPERM: 'permission denied; let the user of this process read it',
  EISDIR: 'is a directory; name a file in it',
};

/**
 * Reads a file that a flag, a variable or a configuration key names.
 *
 * @param origin what names the file: `--server-cert`
 * @throws UsageError with the origin, the path and the cure
 */
export function readNamedFile(origin: string, path: string): string {
  return readNamedBytes(origin, path).toString('utf8');
}

/** The same for a file that need not be text. @throws UsageError as `readNamedFile` does */
export function readNamedBytes(origin: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code = 'unknown', message } = error as NodeJS.ErrnoException;
    throw new UsageError(`${origin}: ${path}: ${cures[code] ?? `cannot be read: ${message}`}`, {
      cause: error,
    });
  }
}
