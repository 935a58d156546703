/** `npm run bench:full`: runs the plan (plan.ts) and writes the report. `--help` lists the options. */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exitOnSignals } from '../process/exit-on-signals.ts';
import { mergeResults } from '../report/merge-results.ts';
import { textTables } from '../report/text-tables.ts';
import { writeReport } from '../report/write-report.ts';
import { isComplete } from '../results.ts';
import { readResults, writeResults } from '../results-file.ts';
import { measureSystems, warnIfBusy } from '../run/measure-systems.ts';
import { progress } from '../run/progress.ts';
import { nodeVersion } from '../systems/program-version.ts';
import { type FullOptions, fullOptionsOrExit, fullUsage } from './full-options.ts';
import { type Part, plan, planSeconds, planWarmupSeconds } from './plan.ts';

/** Has a folder for each version of Node, with and without `--bars`, and in it a file for each measure. */
const resultsFolder = fileURLToPath(new URL('../../.results', import.meta.url));

exitOnSignals();
const args = process.argv.slice(2);
const options = fullOptionsOrExit(args);
try {
  if (options.help) process.stdout.write(fullUsage);
  else await main(options);
} catch (error) {
  console.error(`bench:full: ${(error as Error).message}`);
  process.exitCode = 1;
}

async function main(given: FullOptions): Promise<void> {
  const version = (await nodeVersion(given.nodePath)) ?? 'unknown';
  const folder = join(resultsFolder, given.bars ? `${version}-bars` : version);
  const fileOf = ({ measure }: Part) => join(folder, `${measure.name}.json`);
  const parts = plan(given.bars ? 'bars' : 'everything');
  const named = parts.filter(({ measure }) => given.only?.includes(measure) ?? true);
  const isNamed = given.only !== undefined || given.again;
  const due = named.filter((part) => isNamed || !existsSync(fileOf(part)));
  const minutes = due.reduce((sum, part) => sum + part.estimatedSeconds, 0) / 60;
  progress.say(
    `${due.length} of ${parts.length} measures to run on Node ${version}, about ${Math.ceil(minutes)} minutes`,
  );
  if (given.dryRun) {
    for (const part of due) progress.say(describe(part));
    return;
  }
  mkdirSync(folder, { recursive: true });
  if (due.length > 0) warnIfBusy();
  const command = ['npm run bench:full', ...(given.bars ? ['-- --bars'] : [])].join(' ');
  for (const part of due) {
    // If this run is interrupted, an older result must not look like its result.
    rmSync(fileOf(part), { force: true });
    const results = await measureSystems(
      {
        measures: [part.measure],
        seconds: planSeconds,
        warmupSeconds: planWarmupSeconds,
        rounds: part.rounds,
        nodePath: given.nodePath,
        list: false,
        help: false,
      },
      part.systems,
      command,
    );
    writeResults(fileOf(part), results);
  }
  const done = parts.filter((part) => existsSync(fileOf(part)));
  const results = mergeResults(done.map((part) => readResults(fileOf(part))));
  process.stdout.write(textTables(results));
  await writeReport(results, given.report);
  progress.say(
    `${join(given.report, 'RESULTS.md')} has ${done.length} of ${parts.length} measures`,
  );
  if (!isComplete(results)) process.exitCode = 1;
}

function describe({ measure, systems, estimatedSeconds }: Part): string {
  const names = systems.map(({ name }) => name).join(', ');
  return `${measure.name.padEnd(24)} ${String(Math.round(estimatedSeconds)).padStart(4)} s  ${names}`;
}
