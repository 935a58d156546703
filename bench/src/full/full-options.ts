import { parseArgs } from 'node:util';
import { nodeBinary, writableReport } from '../checked-paths.ts';
import type { Measure } from '../measures/measure.ts';
import { pickMeasures } from '../options.ts';
import { orExit } from '../or-exit.ts';

export const fullUsage = `npm run bench:full -- [OPTIONS]

Runs each measure that has no stored result, and writes a report of all stored results. The result of each measure is
stored in bench/.results at once, so that an interrupted run continues where it stopped.

  --only NAME,..    run these measures even if they have results; the beginning of a name selects several
  --again           run all measures even if they have results
  --bars            run only the measures and systems that the performance bars need
  --node PATH       node binary for the systems that run in Node (default: this one)
  --report DIR      directory of RESULTS.md and charts/ (default: bench)
  --dry-run         list what would run, and estimate the time
`;

export interface FullOptions {
  readonly only?: readonly Measure[];
  readonly again: boolean;
  readonly bars: boolean;
  readonly nodePath: string;
  readonly report: string;
  readonly dryRun: boolean;
  readonly help: boolean;
}

/** Exits with one line and code 2 if an option is invalid. */
export function fullOptionsOrExit(args: readonly string[]): FullOptions {
  return orExit('bench:full', () => readOptions(args));
}

function readOptions(args: readonly string[]): FullOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      again: { type: 'boolean', default: false },
      bars: { type: 'boolean', default: false },
      node: { type: 'string', default: process.execPath },
      report: { type: 'string', default: 'bench' },
      'dry-run': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    ...(values.only === undefined ? {} : { only: pickMeasures(values.only) }),
    again: values.again,
    bars: values.bars,
    nodePath: nodeBinary('--node', values.node),
    report: writableReport('--report', values.report),
    dryRun: values['dry-run'],
    help: values.help,
  };
}
