import { accessSync, constants, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { closeRoute } from '@fairlead/client';
import type { ParsedOptions } from '@fairlead/runtime/options';
import { release, StartupError, UsageError } from '@fairlead/runtime/process';
import { commandEntry } from '../command-set.ts';
import { explainFailure } from '../explain-failure.ts';
import { type BenchFlags, benchTable } from './bench-options.ts';
import { type BenchPlan, planBench } from './bench-plan.ts';
import { type BenchReport, type Measurement, makeReport } from './bench-report.ts';
import { htmlReport } from './html-report.ts';
import { probeTarget } from './probe.ts';
import { Progress } from './progress.ts';
import { runLoad } from './run-load.ts';
import { summaryText } from './summary.ts';

const stdoutPath = '-';
const endSignals = ['SIGINT', 'SIGTERM'] as const;

async function bench({ options: flags }: ParsedOptions<typeof benchTable.options>): Promise<void> {
  const warn = (text: string) => process.stderr.write(`${benchTable.program}: warning: ${text}\n`);
  const plan = planBench(flags, warn);
  if (flags.json !== undefined && flags.json !== stdoutPath) checkWritable('--json', flags.json);
  if (flags.html !== undefined) checkWritable('--html', flags.html);
  const progress = new Progress({
    mode: plan.mode,
    streams: flags.streams,
    durationMs: flags.duration,
    quiet: flags.quiet,
    output: process.stderr,
  });
  const measurement = await untilSignal((signal) => measure(plan, flags, progress, signal)).finally(
    () => progress.end(),
  );
  if (!measurement) throw new StartupError('the load ended before the measurement began');
  const report = makeReport(plan, flags, release.version, measurement);
  if (flags.html !== undefined) write('--html', flags.html, htmlReport(report));
  writeResults(report, flags.json);
  process.exitCode = report.passed ? 0 : 1;
}

export const runBenchCommand = commandEntry(benchTable, bench).run;

function writeResults(report: BenchReport, jsonPath: string | undefined): void {
  const json = `${JSON.stringify(report, undefined, 2)}\n`;
  if (jsonPath === stdoutPath) {
    process.stdout.write(json);
    return;
  }
  process.stdout.write(summaryText(report));
  if (jsonPath !== undefined) write('--json', jsonPath, json);
}

/** @returns undefined if the signal came before anything was measured */
async function measure(
  plan: BenchPlan,
  flags: BenchFlags,
  progress: Progress,
  signal: AbortSignal,
): Promise<Measurement | undefined> {
  try {
    if (flags.wait > 0) progress.phase('waiting for the target to be reachable');
    await probeTarget(plan, { timeoutMs: flags.timeout, waitMs: flags.wait, signal });
  } catch (error) {
    closeRoute(plan.route);
    throw new StartupError(explainFailure(error as Error, plan.route), { cause: error });
  }
  return runLoad(plan, flags, progress, signal);
}

/** The first SIGINT or SIGTERM aborts the work's signal. The second one exits at once. */
async function untilSignal<Result>(work: (signal: AbortSignal) => Promise<Result>) {
  const ending = new AbortController();
  const onSignal = () => {
    if (ending.signal.aborted) process.exit(1);
    ending.abort();
  };
  for (const name of endSignals) process.on(name, onSignal);
  try {
    return await work(ending.signal);
  } finally {
    for (const name of endSignals) process.off(name, onSignal);
  }
}

/** Called before the load, so that a report is not lost. @throws UsageError with the flag and the cure */
function checkWritable(flag: string, path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory()) {
    throw new UsageError(`${flag}: ${path}: is a directory. Name a file in it`);
  }
  try {
    accessSync(found ? path : dirname(path), constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason =
      code === 'ENOENT'
        ? `the directory ${dirname(path)} does not exist. Create it`
        : 'permission denied. Choose a writable file';
    throw new UsageError(`${flag}: ${path}: ${reason}`, { cause: error });
  }
}

function write(flag: string, path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    const { message } = error as Error;
    throw new StartupError(`${flag}: ${path}: cannot be written: ${message}`, { cause: error });
  }
}
