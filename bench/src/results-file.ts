import { readFileSync, writeFileSync } from 'node:fs';
import type { Results } from './results.ts';

/** A latency without samples is infinite, and JSON has no word for that. */
const infinity = 'Infinity';

export function writeResults(file: string, results: Results): void {
  const replace = (_key: string, value: unknown) =>
    value === Number.POSITIVE_INFINITY ? infinity : value;
  writeFileSync(file, `${JSON.stringify(results, replace, 1)}\n`);
}

/** @throws Error that names a file which is missing, or which `writeResults` did not write */
export function readResults(file: string): Results {
  const revive = (_key: string, value: unknown) =>
    value === infinity ? Number.POSITIVE_INFINITY : value;
  let found: Partial<Results> | undefined;
  try {
    found = JSON.parse(readFileSync(file, 'utf8'), revive);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined) throw new Error(`${file}: cannot be read (${code})`, { cause: error });
  }
  const lists = [found?.runs, found?.systems, found?.missing, found?.measures];
  if (!found?.machine || !lists.every(Array.isArray)) {
    throw new Error(`${file}: holds no results of the bench; give a file that --json wrote`);
  }
  return found as Results;
}
