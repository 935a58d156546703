import { isDeepStrictEqual } from 'node:util';
import type { Results } from '../results.ts';

/**
 * Merges the results of several runs on one machine. Each measure comes from one run, because only figures of the same
 * run are comparable.
 * @throws Error if there are no results, if machines or Node versions differ, or if two runs have the same measure
 */
export function mergeResults(all: readonly Results[]): Results {
  const [first, ...others] = all;
  if (!first) throw new Error('--from: no results. Name a file that --json wrote.');
  return others.reduce(mergeTwo, first);
}

function mergeTwo(a: Results, b: Results): Results {
  if (!isDeepStrictEqual(a.machine, b.machine)) {
    throw new Error(
      '--from: the results are from different machines or Node versions. Merge only equal ones.',
    );
  }
  const twice = b.measures.find(({ name }) => a.measures.some((one) => one.name === name));
  if (twice) throw new Error(`--from: two files have results of ${twice.name}. Omit one of them.`);
  const names = new Set(a.systems.map(({ name }) => name));
  const systems = [...a.systems, ...b.systems.filter(({ name }) => !names.has(name))];
  const known = new Set([...systems, ...a.missing].map(({ name }) => name));
  return {
    machine: a.machine,
    runs: [...a.runs, ...b.runs],
    systems,
    missing: [...a.missing, ...b.missing.filter(({ name }) => !known.has(name))],
    measures: [...a.measures, ...b.measures],
  };
}
