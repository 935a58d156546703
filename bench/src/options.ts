import { parseArgs } from 'node:util';
import { nodeBinary, writableFile, writableReport } from './checked-paths.ts';
import { measures } from './measures/index.ts';
import type { Measure } from './measures/measure.ts';
import { orExit } from './or-exit.ts';
import { systems } from './systems/index.ts';
import { pairings } from './systems/pairings.ts';
import type { System } from './systems/system.ts';

export const usage = `npm run bench -- [OPTIONS]

  --only NAME,..    measures, or the beginnings of their names (all)
  --peers NAME,..   systems (all whose programs are found, pairings with Konnectivity excepted)
  --seconds N       how long to count in each round, up to 3,600 (5)
  --warmup N        seconds to run before counting, up to 3,600 (1)
  --rounds N        rounds, up to 1,000, alternating between systems; medians are reported (5)
  --node PATH       node binary for the systems that run in Node (this one)
  --json FILE       write everything that was measured
  --from FILE,..    read results that --json wrote instead of measuring
  --report DIR      write DIR/RESULTS.md and DIR/charts/*.svg
  --list            name all measures and systems

Tables go to stdout, progress to stderr.
`;

/** What a comparison of two revisions measures is given, and its ratios are no report. */
const notOfCompare = ['peers', 'from', 'report', 'list'] as const;

export const compareUsage = usage
  .replace('bench --', 'bench:compare -- BASE')
  .split('\n')
  .filter((line) => !notOfCompare.some((name) => line.startsWith(`  --${name} `)))
  .join('\n');

/** What is longer is a slip; beyond 24 days timers would end at once. */
const mostSeconds = 3_600;
const mostRounds = 1_000;

export interface BenchOptions {
  readonly measures: readonly Measure[];
  readonly systems: readonly System[];
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly rounds: number;
  readonly nodePath: string;
  readonly json?: string;
  readonly from?: readonly string[];
  readonly report?: string;
  readonly list: boolean;
  readonly help: boolean;
}

/** @throws Error with one line for unknown options, names and numbers, and for paths that will not do */
function readOptions(
  args: readonly string[],
  refused: readonly (typeof notOfCompare)[number][] = [],
): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      peers: { type: 'string' },
      seconds: { type: 'string', default: '5' },
      warmup: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '5' },
      node: { type: 'string', default: process.execPath },
      json: { type: 'string' },
      from: { type: 'string' },
      report: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const useless = refused.find((name) => values[name]);
  if (useless) throw new Error(`--${useless}: this is no option of a comparison`);
  const { json, from, report } = values;
  return {
    measures: pickMeasures(values.only),
    systems:
      values.peers === undefined
        ? systems
        : pick('--peers', values.peers, [...systems, ...pairings], is),
    seconds: positive('--seconds', values.seconds, mostSeconds),
    warmupSeconds: positive('--warmup', values.warmup, mostSeconds),
    rounds: Math.ceil(positive('--rounds', values.rounds, mostRounds)),
    nodePath: nodeBinary('--node', values.node),
    ...(json === undefined ? {} : { json: writableFile('--json', json) }),
    ...(from === undefined ? {} : { from: from.split(',') }),
    ...(report === undefined ? {} : { report: writableReport('--report', report) }),
    list: values.list,
    help: values.help,
  };
}

/** Those of `npm run bench`; a mistake ends the program with one line and exit code 2. */
export function optionsOrExit(args: readonly string[]): BenchOptions {
  return orExit('bench', () => readOptions(args));
}

/** Those of `npm run bench:compare`; a mistake ends the program with one line and exit code 2. */
export function compareOptionsOrExit(args: readonly string[]): BenchOptions {
  return orExit('bench:compare', () => readOptions(args, notOfCompare));
}

/**
 * The measures that `--only` names, by their names or the beginnings of them; all without it.
 * @throws Error for an unknown name
 */
export function pickMeasures(list: string | undefined): readonly Measure[] {
  return pick('--only', list, measures, isOrBegins);
}

const is = (wanted: string, name: string) => name === wanted;

/** A whole name means that measure alone: `bulk-up-1` is no beginning of `bulk-up-10`. */
const isOrBegins = (wanted: string, name: string) =>
  measures.some((measure) => measure.name === wanted) ? name === wanted : name.startsWith(wanted);

function pick<Named extends { readonly name: string }>(
  flag: string,
  list: string | undefined,
  all: readonly Named[],
  matches: (wanted: string, name: string) => boolean,
): readonly Named[] {
  if (list === undefined) return all;
  const wanted = list.split(',').filter((name) => name !== '');
  if (wanted.length === 0) throw new Error(`${flag}: names nothing; --list names what there is`);
  for (const name of wanted) {
    if (!all.some((one) => matches(name, one.name))) {
      throw new Error(`${flag}: ${name} is unknown; --list names them`);
    }
  }
  return all.filter(({ name }) => wanted.some((one) => matches(one, name)));
}

function positive(flag: string, text: string, most: number): number {
  const value = Number(text);
  if (!(value > 0 && value <= most)) {
    throw new Error(`${flag}: ${text} is not a number above 0 and up to ${most}`);
  }
  return value;
}
