import { readFileSync, writeFileSync } from 'node:fs';
import type { Results } from './results.ts';

/** A latency without samples is infinite, which JSON cannot express. */
const infinity = 'Infinity';

export function writeResults(file: string, results: Results): void {
  const replace = (_key: string, value: unknown) =>
    value === Number.POSITIVE_INFINITY ? infinity : value;
  writeFileSync(file, `${JSON.stringify(results, replace, 1)}\n`);
}

/** @throws Error with the file's name if it cannot be read, or if `writeResults` did not write it */
export function readResults(file: string): Results {
  const revive = (_key: string, value: unknown) =>
    value === infinity ? Number.POSITIVE_INFINITY : value;
  let found: Partial<Results> | undefined;
  try {
    found = JSON.parse(readFileSync(file, 'utf8'), revive);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined)
      throw new Error(`${file}: cannot be read (${code}). Name a file that --json wrote.`, {
        cause: error,
      });
  }
  const lists = [found?.runs, found?.systems, found?.missing, found?.measures];
  if (!found?.machine || !lists.every(Array.isArray)) {
    throw new Error(`${file}: contains no benchmark results. Name a file that --json wrote.`);
  }
  return found as Results;
}
