import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Writes a file so that everybody sees the old one or the new one, whole, even after a loss of power. The
 * mode is that of the new file, whatever the umask says.
 *
 * Rejects with Node's own error, and then nothing has changed.
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
