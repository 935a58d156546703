import type { TestPki } from '@fairlead/testkit';
import type { Measure, Values } from '../measures/measure.ts';
import { type MeasureResults, medians, type SystemResults } from '../results.ts';
import type { System } from '../systems/system.ts';
import { Session } from './measured-system.ts';
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

/** Runs all measures, one after the other. What fails is told and recorded, and the rest goes on. */
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

/** One system's part in one measure. */
interface Entry {
  readonly system: System;
  session: Session | undefined;
  readonly rounds: Values[];
  readonly failures: string[];
  readonly excluded: string | undefined;
}

async function runMeasure(measure: Measure, options: RunOptions): Promise<SystemResults[]> {
  const targets = await Targets.start(measure.targets, options.pki);
  const entries = options.systems.map(
    (system): Entry => ({
      system,
      session: undefined,
      rounds: [],
      failures: [],
      excluded: measure.excludes?.(system),
    }),
  );
  try {
    for (const { system, excluded } of entries) {
      if (excluded) progress.say(`   ${measure.name}: ${system.name} is left out: ${excluded}`);
    }
    const taking = entries.filter(({ excluded }) => excluded === undefined);
    for (let round = 1; round <= options.rounds; round++) {
      // Each round begins with another system, so that none always follows the same one.
      const first = (round - 1) % Math.max(taking.length, 1);
      for (const entry of [...taking.slice(first), ...taking.slice(0, first)]) {
        await runRound(entry, measure, round, targets, options);
      }
    }
  } finally {
    for (const { session } of entries) await session?.close();
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
    entry.session ??= await Session.start({ ...options, system, measure, targets });
    const values = await entry.session.round();
    rounds.push(values);
    progress.round(measure, round, system.name, values);
    if (measure.isFresh) await closeSession(entry);
  } catch (error) {
    const reason = (error as Error).message;
    failures.push(reason);
    progress.warn(`${measure.name} #${round} ${system.name} FAILED: ${reason}`);
    await closeSession(entry);
  }
}

async function closeSession(entry: Entry): Promise<void> {
  const { session } = entry;
  entry.session = undefined;
  await session?.close();
}
