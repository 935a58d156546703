import { parseArgs } from 'node:util';
import { nodeBinary, writableFile, writableReport } from './checked-paths.ts';
import { measures } from './measures/index.ts';
import type { Measure } from './measures/measure.ts';
import { orExit } from './or-exit.ts';
import { systems } from './systems/index.ts';
import { pairings } from './systems/pairings.ts';
import type { System } from './systems/system.ts';

export const usage = `npm run bench -- [OPTIONS]

  --only NAME,..    measures; the beginning of a name selects several (default: all)
  --peers NAME,..   systems (default: all that are installed, without the pairings with Konnectivity)
  --seconds N       time to count in each round, at most 3,600 (default: 5)
  --warmup N        time to run before counting, at most 3,600 (default: 1)
  --rounds N        rounds, at most 1,000; systems take turns in each, and medians are reported (default: 5)
  --node PATH       node binary for the systems that run in Node (default: this one)
  --json FILE       write all results to FILE
  --from FILE,..    read results that --json wrote instead of measuring
  --report DIR      write DIR/RESULTS.md and DIR/charts/*.svg
  --list            list all measures and systems

Tables go to stdout, progress to stderr.
`;

/** Flags that bench:compare refuses: its systems are fixed, and it writes no report. */
const refusedByCompare = ['peers', 'from', 'report', 'list'] as const;

export const compareUsage = usage
  .replace('bench --', 'bench:compare -- BASE')
  .split('\n')
  .filter((line) => !refusedByCompare.some((name) => line.startsWith(`  --${name} `)))
  .join('\n');

/** A larger value is probably a typing error. Timers above 24 days would fire at once. */
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

/** @throws Error with one line if an option is unknown or its value is invalid */
function readOptions(
  args: readonly string[],
  refused: readonly (typeof refusedByCompare)[number][] = [],
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
  const given = refused.find((name) => values[name]);
  if (given) throw new Error(`--${given}: a comparison does not have this option. Remove it.`);
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

/** The options of `npm run bench`. Exits with one line and code 2 if one is invalid. */
export function optionsOrExit(args: readonly string[]): BenchOptions {
  return orExit('bench', () => readOptions(args));
}

/** The options of `npm run bench:compare`. Exits with one line and code 2 if one is invalid. */
export function compareOptionsOrExit(args: readonly string[]): BenchOptions {
  return orExit('bench:compare', () => readOptions(args, refusedByCompare));
}

/**
 * The measures whose names, or beginnings of names, are in the list. Without a list, all.
 * @throws Error for an unknown name
 */
export function pickMeasures(list: string | undefined): readonly Measure[] {
  return pick('--only', list, measures, isOrBegins);
}

const is = (wanted: string, name: string) => name === wanted;

/** A complete name selects only that measure: `bulk-up-1` does not select `bulk-up-10`. */
const isOrBegins = (wanted: string, name: string) =>
  measures.some((measure) => measure.name === wanted) ? name === wanted : name.startsWith(wanted);

const listHint = 'Run "npm run bench -- --list" to see all names.';

function pick<Named extends { readonly name: string }>(
  flag: string,
  list: string | undefined,
  all: readonly Named[],
  matches: (wanted: string, name: string) => boolean,
): readonly Named[] {
  if (list === undefined) return all;
  const wanted = list.split(',').filter((name) => name !== '');
  if (wanted.length === 0) throw new Error(`${flag}: no name given. ${listHint}`);
  for (const name of wanted) {
    if (!all.some((one) => matches(name, one.name))) {
      throw new Error(`${flag}: ${name}: unknown name. ${listHint}`);
    }
  }
  return all.filter(({ name }) => wanted.some((one) => matches(one, name)));
}

function positive(flag: string, text: string, most: number): number {
  const value = Number(text);
  if (!(value > 0 && value <= most)) {
    throw new Error(`${flag}: ${text}: not a number above 0 and up to ${most}`);
  }
  return value;
}
