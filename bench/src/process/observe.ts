import { setTimeout as sleep } from 'node:timers/promises';
import type { MeterReport } from '@fairlead/client/load';
import { type Role, type RoleProcess, type RoleUsage, readUsage, roles } from './process-group.ts';
import type { Worker } from './worker.ts';

/** The result of one period of counting. */
export interface Observation {
  /** One report for each worker, in their order. */
  readonly reports: readonly MeterReport[];
  readonly cpuMs: ReadonlyMap<Role, number>;
  readonly elapsedMs: number;
}

/**
 * Lets the workers count for `durationMs`, and reads the CPU time of all processes.
 *
 * @param processes all processes of the measurement, including the workers
 */
export async function observe(
  workers: readonly Worker[],
  processes: readonly RoleProcess[],
  durationMs: number,
): Promise<Observation> {
  await Promise.all(workers.map((worker) => worker.call('begin')));
  const startMs = performance.now();
  const before = readUsage(processes);
  await sleep(durationMs);
  const after = readUsage(processes);
  const elapsedMs = performance.now() - startMs;
  const reports = await Promise.all(workers.map((worker) => worker.call<MeterReport>('end')));
  return { reports, cpuMs: differences(before, after), elapsedMs };
}

function differences(
  before: ReadonlyMap<Role, RoleUsage>,
  after: ReadonlyMap<Role, RoleUsage>,
): Map<Role, number> {
  const cpuMs = new Map<Role, number>();
  for (const role of roles) {
    const last = after.get(role);
    if (last) cpuMs.set(role, Math.max(0, last.cpuMs - (before.get(role)?.cpuMs ?? 0)));
  }
  return cpuMs;
}
