import type { MeterReport } from '@fairlead/client/load';
import { type Role, type RoleProcess, type RoleUsage, readUsage, roles } from './process-group.ts';
import type { Worker } from './worker.ts';

/** What was seen during one window of time. */
export interface Observation {
  /** One report for each worker, in order. */
  readonly reports: readonly MeterReport[];
  readonly cpuMs: ReadonlyMap<Role, number>;
  readonly elapsedMs: number;
}

/**
 * Lets the workers count for `durationMs`, and reads what every process uses meanwhile.
 *
 * @param processes all processes that take part, workers included
 */
export async function observe(
  workers: readonly Worker[],
  processes: readonly RoleProcess[],
  durationMs: number,
): Promise<Observation> {
  await Promise.all(workers.map((worker) => worker.call('begin')));
  const startMs = performance.now();
  const before = readUsage(processes);
  await new Promise((resolve) => setTimeout(resolve, durationMs));
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
