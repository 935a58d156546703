import type { BenchFlags } from './bench-options.ts';
import type { BenchReport } from './bench-report.ts';

/** One threshold, and whether it was kept. Durations are in microseconds. */
export interface Verdict {
  readonly flag: string;
  readonly limit: number;
  /** Null where there was nothing to measure, which keeps no threshold. */
  readonly measured: number | null;
  readonly passed: boolean;
}

type Figures = Pick<
  BenchReport,
  'latency' | 'failureRatio' | 'operationsPerSecond' | 'bytesPerSecond'
>;

/** Holds the figures against every threshold that the flags set. */
export function judge(figures: Figures, flags: BenchFlags): Verdict[] {
  const { latency } = figures;
  const us = (limitMs: number | undefined) => (limitMs === undefined ? undefined : limitMs * 1000);
  return [
    atMost('--fail-p50', us(flags.failP50), latency?.p50Us),
    atMost('--fail-p90', us(flags.failP90), latency?.p90Us),
    atMost('--fail-p99', us(flags.failP99), latency?.p99Us),
    atMost('--fail-p999', us(flags.failP999), latency?.p999Us),
    atMost('--fail-max', us(flags.failMax), latency?.maxUs),
    atMost('--fail-errors', flags.failErrors, figures.failureRatio),
    atLeast('--min-rate', flags.minRate, figures.operationsPerSecond),
    atLeast('--min-throughput', flags.minThroughput, figures.bytesPerSecond),
  ].filter((verdict) => verdict !== undefined);
}

function atMost(
  flag: string,
  limit: number | undefined,
  measured: number | undefined,
): Verdict | undefined {
  if (limit === undefined) return undefined;
  const passed = measured !== undefined && measured <= limit;
  return { flag, limit, measured: measured ?? null, passed };
}

function atLeast(flag: string, limit: number | undefined, measured: number): Verdict | undefined {
  return limit === undefined ? undefined : { flag, limit, measured, passed: measured >= limit };
}
