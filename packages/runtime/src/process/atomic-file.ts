import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Replaces a file atomically: readers see the whole old file or the whole new one, even after a power failure.
 * The new file has exactly this mode, regardless of the umask.
 *
 * Rejects with Node's error if the file cannot be replaced; the old file then stays.
 */
export async function writeFileAtomically(path: string, text: string, mode: number): Promise<void> {
  const newPath = `${path}.${randomUUID()}.new`;
  try {
    const file = await open(newPath, 'wx', mode);
    try {
      await file.chmod(mode);
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(newPath, path);
  } catch (error) {
    await rm(newPath, { force: true });
    throw error;
  }
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
