import { availableParallelism, loadavg } from 'node:os';
import { sharedTestPki } from '@fairlead/testkit';
import { describeMachine } from '../machine.ts';
import type { BenchOptions } from '../options.ts';
import type { Results, SystemFacts } from '../results.ts';
import { nodeVersion } from '../systems/program-version.ts';
import type { System } from '../systems/system.ts';
import { progress } from './progress.ts';
import { run } from './run.ts';

/** Above this load average per core, other programs disturb the measurement. */
const busyLoad = 0.3;

/**
 * Runs the measures of the options with these systems. Skips systems that are not installed, with a warning.
 *
 * @param command the user's command, for the report
 * @throws Error if no system is installed
 */
export async function measureSystems(
  options: Omit<BenchOptions, 'systems'>,
  systems: readonly System[],
  command: string,
): Promise<Results> {
  const { nodePath, seconds, rounds } = options;
  const { present, missing } = sort(systems);
  if (present.length === 0) throw new Error('all systems were skipped: NOTHING was measured');
  const startedAt = new Date().toISOString();
  const loadAverage = loadavg()[0]!;
  const measures = await run({
    measures: options.measures,
    systems: present,
    rounds,
    durationMs: seconds * 1000,
    warmupMs: options.warmupSeconds * 1000,
    nodePath,
    pki: await sharedTestPki(),
  });
  const systemsNode = await nodeVersion(nodePath);
  return {
    machine: describeMachine(systemsNode ?? 'unknown'),
    runs: [{ startedAt, command, seconds, rounds, loadAverage }],
    systems: await Promise.all(present.map((system) => facts(system, nodePath))),
    missing,
    measures,
  };
}

/** Call it before the first measure, because the bench itself adds load. */
export function warnIfBusy(): void {
  const loadAverage = loadavg()[0]!;
  if (loadAverage <= busyLoad * availableParallelism()) return;
  progress.warn(`the machine is BUSY (load ${loadAverage.toFixed(1)}): do not trust the figures`);
}

function sort(systems: readonly System[]): { present: System[]; missing: Results['missing'] } {
  const present: System[] = [];
  const missing: { name: string; reason: string }[] = [];
  for (const system of systems) {
    const reason = system.missing();
    if (reason === undefined) present.push(system);
    else {
      missing.push({ name: system.name, reason });
      progress.warn(`${system.name} is SKIPPED because it is not installed. Run: ${reason}`);
    }
  }
  return { present, missing };
}

async function facts(system: System, nodePath: string): Promise<SystemFacts> {
  const version = await system.version(nodePath);
  const { name, about } = system;
  return { name, about, ...(version === undefined ? {} : { version }) };
}
