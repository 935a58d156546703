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

export const failuresColumn: Column = {
  key: 'failures',
  title: 'failures',
  unit: '',
  better: 'lower',
};

/** CPU time of each role, per GB or per operation. */
export function cpuColumns(unit: 's/GB' | 'µs/op'): readonly Column[] {
  return roles.map((role) => ({
    key: `${role}-cpu`,
    title: `${role} CPU`,
    unit,
    better: 'lower',
  }));
}

/** Peaks of resident memory since the start of the system. `MeasuredSystem` adds their values. */
export const peakColumns: readonly Column[] = [
  { key: 'server-peak', title: 'server peak', unit: 'MiB', better: 'lower' },
  { key: 'agent-peak', title: 'agent peak', unit: 'MiB', better: 'lower' },
];

/** The columns of a load that counts operations. `operationValues` has their values. */
export const operationColumns: readonly Column[] = [
  { ...rateColumn, unit: '/s' },
  { key: 'p50', title: 'p50', unit: 'µs', better: 'lower' },
  { key: 'p99', title: 'p99', unit: 'µs', better: 'lower' },
  { key: 'p999', title: 'p99.9', unit: 'µs', better: 'lower' },
  ...cpuColumns('µs/op'),
  ...peakColumns,
];

export function operationValues(observation: Observation, report: MeterReport): Values {
  const { p50Us, p99Us, p999Us } = report;
  const rate = operationsPerSecond(report);
  const operations = (rate * observation.elapsedMs) / 1000;
  return {
    rate,
    p50: p50Us,
    p99: p99Us,
    p999: p999Us,
    ...cpuValues(observation, (ms) => (ms * 1000) / operations),
  };
}

function bytesPerSecond({ bytes, elapsedMs }: MeterReport): number {
  return (bytes / elapsedMs) * 1000;
}

/** 1 MB is a million bytes. */
export function megabytesPerSecond(report: MeterReport): number {
  return bytesPerSecond(report) / 1e6;
}

export function operationsPerSecond({ operations, elapsedMs }: MeterReport): number {
  return (operations / elapsedMs) * 1000;
}

/** CPU seconds per GB, by role. */
export function cpuPerGb(observation: Observation, report: MeterReport): Values {
  const gb = (bytesPerSecond(report) * observation.elapsedMs) / 1000 / bytesPerGb;
  return cpuValues(observation, (ms) => ms / 1000 / gb);
}

function cpuValues({ cpuMs }: Observation, convert: (ms: number) => number): Values {
  return Object.fromEntries([...cpuMs].map(([role, ms]) => [`${role}-cpu`, convert(ms)]));
}

/** @throws Error if a stream failed, because the remaining streams are a different load */
export function requireNoFailures(...reports: readonly MeterReport[]): void {
  const failed = reports.find((report) => report.failures > 0);
  if (failed) throw new Error(`${failed.failures} streams failed: ${failed.firstFailure}`);
}
