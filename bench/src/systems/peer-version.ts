import { readFile } from 'node:fs/promises';
import { findProgram } from '../process/find-program.ts';

/**
 * The version of a program that does not print it. The scripts of bench/peers store it in a file beside the program.
 * @returns undefined if the program was installed in another way
 */
export async function peerVersion(program: string): Promise<string | undefined> {
  const path = findProgram(program);
  if (path === undefined) return undefined;
  return readFile(`${path}.version`, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}
