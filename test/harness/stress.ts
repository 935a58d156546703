import { type ChildProcess, spawn } from 'node:child_process';
import { Report } from './report.ts';
import { type RunOptions, runSuites } from './run-suites.ts';

export interface StressOptions extends Omit<RunOptions, 'report'> {
  readonly times: number;
  /** How many processes keep a processor busy meanwhile. */
  readonly load: number;
}

/** Ends with the harness: its stdin closes. */
const busyLoop = `
process.stdin.resume().on('end', () => process.exit());
setImmediate(function spin() {
  const untilMs = performance.now() + 100;
  while (performance.now() < untilMs);
  setImmediate(spin);
});`;

/** Repeats a run beside busy processes. @returns the exit code: 1 if any of the runs failed */
export async function stress({ times, load, ...options }: StressOptions): Promise<number> {
  const busy: ChildProcess[] = [];
  for (let index = 0; index < load; index++) {
    busy.push(spawn(process.execPath, ['-e', busyLoop], { stdio: ['pipe', 'ignore', 'inherit'] }));
  }
  const rows: string[] = [];
  let failedRuns = 0;
  try {
    for (let run = 1; run <= times; run++) {
      process.stdout.write(`\n==== Run ${run} of ${times}, ${load} busy loops\n`);
      const report = new Report(process.stdout);
      await runSuites({ ...options, report });
      report.end();
      if (report.failedCount > 0) failedRuns++;
      const result = report.failedCount > 0 ? `${report.failedCount} failed` : 'passed';
      const names = report.failed.map(({ file }) => file).join(' ');
      rows.push(
        `${String(run).padStart(4)}  ${report.seconds.toFixed(0).padStart(6)} s  ${result}  ${names}`,
      );
    }
  } finally {
    for (const child of busy) child.kill('SIGKILL');
  }
  process.stdout.write(`\n==== ${times} runs beside ${load} busy loops\n`);
  process.stdout.write(` run      time  result\n${rows.join('\n')}\n`);
  process.stdout.write(`${times - failedRuns} passed, ${failedRuns} failed\n`);
  return failedRuns === 0 ? 0 : 1;
}
