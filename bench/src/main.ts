/** `npm run bench`: measures Fairlead and its peers. `--help` lists the options. */
import { measures } from './measures/index.ts';
import { type BenchOptions, optionsOrExit, usage } from './options.ts';
import { orExit } from './or-exit.ts';
import { exitOnSignals } from './process/exit-on-signals.ts';
import { mergeResults } from './report/merge-results.ts';
import { textTables } from './report/text-tables.ts';
import { writeReport } from './report/write-report.ts';
import { readResults, writeResults } from './results-file.ts';
import { setExitCode } from './run/exit-code.ts';
import { measureSystems, warnIfBusy } from './run/measure-systems.ts';
import { systems } from './systems/index.ts';
import { pairings } from './systems/pairings.ts';

exitOnSignals();
const args = process.argv.slice(2);
const options = optionsOrExit(args);
try {
  if (options.help) process.stdout.write(usage);
  else if (options.list) list();
  else await main(options);
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
}

function list(): void {
  for (const { name, title } of measures) console.log(`${name.padEnd(24)} ${title}`);
  console.log();
  for (const system of [...systems, ...pairings]) {
    const missing = system.missing();
    const state = missing === undefined ? '' : ` [not installed. Run: ${missing}]`;
    console.log(`${system.name.padEnd(24)} ${system.about}${state}`);
  }
}

async function main(given: BenchOptions): Promise<void> {
  if (!given.from) warnIfBusy();
  const results = given.from
    ? mergeResults(orExit('bench: --from', () => given.from!.map(readResults)))
    : await measureSystems(given, given.systems, ['npm run bench --', ...args].join(' '));
  process.stdout.write(textTables(results));
  if (given.json !== undefined) writeResults(given.json, results);
  if (given.report !== undefined) await writeReport(results, given.report);
  setExitCode(results);
}
