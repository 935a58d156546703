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
  await writeNewFile(newPath, text, mode);
  try {
    await rename(newPath, path);
  } catch (error) {
    await rm(newPath, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/**
 * Writes and syncs a new file with exactly this mode, regardless of the umask. If that fails, no new file stays.
 *
 * Rejects with Node's error, which has the code `EEXIST` if the path exists.
 */
export async function writeNewFile(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.chmod(mode);
    await file.writeFile(text);
    await file.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** Makes changes of a directory's entries durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
