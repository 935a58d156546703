import { parseArgs } from 'node:util';
import { nodeBinary, writableReport } from '../checked-paths.ts';
import type { Measure } from '../measures/measure.ts';
import { pickMeasures } from '../options.ts';
import { orExit } from '../or-exit.ts';

export const fullUsage = `npm run bench:full -- [OPTIONS]

Runs every measure that has no result yet, and writes the report of all that have one. Each
measure's result is kept in bench/.results as soon as it is there, so that an interrupted run goes on
where it stopped.

  --only NAME,..    these measures, or beginnings of their names, whether they have results or not
  --again           all measures, whether they have results or not
  --bars            only what the numbers to hold need: measures, and systems in them
  --node PATH       node binary for the systems that run in Node (this one)
  --report DIR      where RESULTS.md and charts/ go (bench)
  --dry-run         what would run, and about how long
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

/** A mistake ends the program with one line and exit code 2. */
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
