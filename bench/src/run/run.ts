import type { TestPki } from '@fairlead/testkit';
import type { Measure, Values } from '../measures/measure.ts';
import { type MeasureResults, medians, type SystemResults } from '../results.ts';
import type { System } from '../systems/system.ts';
import { MeasuredSystem } from './measured-system.ts';
import { progress } from './progress.ts';
import { Targets } from './targets.ts';

export interface RunOptions {
  readonly measures: readonly Measure[];
  readonly systems: readonly System[];
  readonly rounds: number;
  readonly durationMs: number;
  readonly warmupMs: number;
  readonly nodePath: string;
  readonly pki: TestPki;
}

/** Runs all measures, one after the other. A failed round is logged and recorded, and the run continues. */
export async function run(options: RunOptions): Promise<MeasureResults[]> {
  const results: MeasureResults[] = [];
  for (const measure of options.measures) {
    progress.say(`== ${measure.name}: ${measure.title}`);
    const { name, title, about, columns, charted } = measure;
    const systems = await runMeasure(measure, options);
    results.push({ name, title, about, columns, charted, systems });
  }
  return results;
}

/** The state of one system in one measure. */
interface Entry {
  readonly system: System;
  running: MeasuredSystem | undefined;
  readonly rounds: Values[];
  readonly failures: string[];
  readonly excluded: string | undefined;
}

async function runMeasure(measure: Measure, options: RunOptions): Promise<SystemResults[]> {
  const targets = await Targets.start(measure.targets, options.pki);
  const entries = options.systems.map(
    (system): Entry => ({
      system,
      running: undefined,
      rounds: [],
      failures: [],
      excluded: measure.excludes?.(system),
    }),
  );
  try {
    for (const { system, excluded } of entries) {
      if (excluded) progress.say(`   ${measure.name}: ${system.name} is omitted: ${excluded}`);
    }
    const included = entries.filter(({ excluded }) => excluded === undefined);
    for (let round = 1; round <= options.rounds; round++) {
      // Each round starts with another system, so that the order does not favor one.
      const first = (round - 1) % Math.max(included.length, 1);
      for (const entry of [...included.slice(first), ...included.slice(0, first)]) {
        await runRound(entry, measure, round, targets, options);
      }
    }
  } finally {
    for (const { running } of entries) await running?.close();
    await targets.close();
  }
  return entries.map(({ system, rounds, failures, excluded }) => ({
    system: system.name,
    rounds,
    medians: medians(rounds),
    failures,
    ...(excluded === undefined ? {} : { excluded }),
  }));
}

/** Restarts a failed system before the next round, and every system if the measure requires it. */
async function runRound(
  entry: Entry,
  measure: Measure,
  round: number,
  targets: Targets,
  options: RunOptions,
): Promise<void> {
  const { system, rounds, failures } = entry;
  try {
    entry.running ??= await MeasuredSystem.start({ ...options, system, measure, targets });
    const values = await entry.running.round();
    rounds.push(values);
    progress.round(measure, round, system.name, values);
    if (measure.isFresh) await stopSystem(entry);
  } catch (error) {
    const reason = (error as Error).message;
    failures.push(reason);
    progress.warn(`${measure.name} #${round} ${system.name} FAILED: ${reason}`);
    await stopSystem(entry);
  }
}

async function stopSystem(entry: Entry): Promise<void> {
  const { running } = entry;
  entry.running = undefined;
  await running?.close();
}
