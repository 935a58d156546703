import { isDeepStrictEqual } from 'node:util';
import type { Results } from '../results.ts';

/**
 * Results of several runs on one machine as one, for measures that were run apart. A measure comes
 * from one run as a whole, since only figures of the same run may be compared.
 * @throws Error for no results, for other machines or Node versions, for a measure that two runs have
 */
export function mergeResults(all: readonly Results[]): Results {
  const [first, ...others] = all;
  if (!first) throw new Error('--from: no results');
  return others.reduce(mergeTwo, first);
}

function mergeTwo(a: Results, b: Results): Results {
  if (!isDeepStrictEqual(a.machine, b.machine)) {
    throw new Error('--from: the runs took place on different machines or Node versions');
  }
  const twice = b.measures.find(({ name }) => a.measures.some((one) => one.name === name));
  if (twice) throw new Error(`--from: two runs have ${twice.name}; leave one of them out`);
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
