import { readFile } from 'node:fs/promises';
import { findProgram } from '../process/find-program.ts';

/**
 * What the scripts of bench/peers noted beside a program that does not tell its own version;
 * undefined for one that was installed in another way.
 */
export async function peerVersion(program: string): Promise<string | undefined> {
  const path = findProgram(program);
  if (path === undefined) return undefined;
  return readFile(`${path}.version`, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}
