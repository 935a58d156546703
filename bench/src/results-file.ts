import { readFileSync, writeFileSync } from 'node:fs';
import type { Results } from './results.ts';

/** A latency without samples is infinite, and JSON has no word for that. */
const infinity = 'Infinity';

export function writeResults(file: string, results: Results): void {
  const replace = (_key: string, value: unknown) =>
    value === Number.POSITIVE_INFINITY ? infinity : value;
  writeFileSync(file, `${JSON.stringify(results, replace, 1)}\n`);
}

export function readResults(file: string): Results {
  const revive = (_key: string, value: unknown) =>
    value === infinity ? Number.POSITIVE_INFINITY : value;
  return JSON.parse(readFileSync(file, 'utf8'), revive) as Results;
}
