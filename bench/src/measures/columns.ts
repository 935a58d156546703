import type { MeterReport } from '@fairlead/client/load';
import type { Observation } from '../process/observe.ts';
import { roles } from '../process/process-group.ts';
import type { Column, Values } from './measure.ts';

const bytesPerGb = 1e9;

export const rateColumn: Column = {
  key: 'rate',
  title: 'rate',
  unit: 'MB/s',
  better: 'higher',
};

export const operationColumn: Column = { ...rateColumn, unit: '/s' };

export const latencyColumns: readonly Column[] = [
  { key: 'p50', title: 'p50', unit: 'µs', better: 'lower' },
  { key: 'p99', title: 'p99', unit: 'µs', better: 'lower' },
  { key: 'p999', title: 'p99.9', unit: 'µs', better: 'lower' },
];

/** CPU time of each role, per GB or per operation. */
export function cpuColumns(unit: 's/GB' | 'µs/op'): readonly Column[] {
  return roles.map((role) => ({
    key: `${role}-cpu`,
    title: `${role} CPU`,
    unit,
    better: 'lower',
  }));
}

/** Peaks of resident memory since the system was started for this measure; the runner adds them. */
export const peakColumns: readonly Column[] = [
  { key: 'server-peak', title: 'server peak', unit: 'MiB', better: 'lower' },
  { key: 'agent-peak', title: 'agent peak', unit: 'MiB', better: 'lower' },
];

function bytesPerSecond({ bytes, elapsedMs }: MeterReport): number {
  return (bytes / elapsedMs) * 1000;
}

/** MB/s, of a million bytes. */
export function megabytesPerSecond(report: MeterReport): number {
  return bytesPerSecond(report) / 1e6;
}

export function operationsPerSecond({ operations, elapsedMs }: MeterReport): number {
  return (operations / elapsedMs) * 1000;
}

export function latencyValues({ p50Us, p99Us, p999Us }: MeterReport): Values {
  return { p50: p50Us, p99: p99Us, p999: p999Us };
}

/** Seconds per GB, by role. */
export function cpuPerGb({ cpuMs, elapsedMs }: Observation, report: MeterReport): Values {
  const gb = (bytesPerSecond(report) * elapsedMs) / 1000 / bytesPerGb;
  return cpuValues(cpuMs, (ms) => ms / 1000 / gb);
}

/** Microseconds per operation, by role. */
export function cpuPerOperation({ cpuMs, elapsedMs }: Observation, report: MeterReport): Values {
  const operations = (operationsPerSecond(report) * elapsedMs) / 1000;
  return cpuValues(cpuMs, (ms) => (ms * 1000) / operations);
}

function cpuValues(cpuMs: Observation['cpuMs'], convert: (ms: number) => number): Values {
  return Object.fromEntries([...cpuMs].map(([role, ms]) => [`${role}-cpu`, convert(ms)]));
}

/** @throws Error when a stream failed: what remains would not be the load that was asked for */
export function requireNoFailures(...reports: readonly MeterReport[]): void {
  const failed = reports.find((report) => report.failures > 0);
  if (failed) throw new Error(`${failed.failures} streams failed: ${failed.firstFailure}`);
}
