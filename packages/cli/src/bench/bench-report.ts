import type { LatencyPoint, LatencyReport, MeterReport, MeterSample } from '@fairlead/client/load';
import { proxyName } from '../proxy-options.ts';
import type { BenchFlags } from './bench-options.ts';
import type { BenchMode, BenchPlan } from './bench-plan.ts';

/** One threshold, and whether it was kept. Durations are in microseconds. */
export interface Verdict {
  readonly flag: string;
  readonly limit: number;
  /** Null if nothing was measured, which misses the threshold. */
  readonly measured: number | null;
  readonly passed: boolean;
}

/** The content of `--json`. Fields can be added, but not renamed or removed. */
export type BenchReport = ReturnType<typeof makeReport>;

export interface Measurement {
  readonly startedAt: Date;
  readonly endedEarly: boolean;
  readonly meter: MeterReport;
  readonly samples: readonly MeterSample[];
  readonly distribution: readonly LatencyPoint[];
  readonly busy: number;
}

/** Whether a mode has single operations with latencies. */
export const hasOperations = (mode: BenchMode): boolean => mode !== 'upload' && mode !== 'download';

/** Makes the report, and compares it with the thresholds of the flags. */
export function makeReport(
  plan: BenchPlan,
  flags: BenchFlags,
  version: string,
  { startedAt, endedEarly, meter, samples, distribution, busy }: Measurement,
) {
  const { mode, route, target, payloadBytes } = plan;
  const seconds = meter.elapsedMs / 1000;
  // Without operations, the attempts are streams: a broken stream is the only failure.
  const tried = (hasOperations(mode) ? meter.operations : flags.streams) + meter.failures;
  const figures = {
    tool: 'fairlead bench' as const,
    version,
    startedAt: startedAt.toISOString(),
    proxy: proxyName(route),
    proxyProtocol: flags.proxyProtocol,
    target,
    mode,
    settings: {
      streams: flags.streams,
      connections: flags.proxyProtocol === 'http2' ? flags.connections : null,
      payloadBytes: payloadBytes ?? null,
      ratePerSecond: flags.rate ?? null,
      durationMs: flags.duration,
      rampMs: flags.ramp,
      warmUpMs: flags.warmUp,
      timeoutMs: flags.timeout,
    },
    /** Whether a signal ended the load before `--duration`. */
    endedEarly,
    elapsedMs: meter.elapsedMs,
    /** Answered requests, messages or opens; 0 for upload and download. */
    operations: meter.operations,
    operationsPerSecond: meter.operations / seconds,
    /** Payload bytes. The message of an echo counts once. */
    bytes: meter.bytes,
    bytesPerSecond: meter.bytes / seconds,
    failures: meter.failures,
    /** Failures as a share of all attempts. */
    failureRatio: tried === 0 ? 0 : meter.failures / tried,
    errors: Object.entries(meter.failuresByCode)
      .map(([code, { count, example }]) => ({ code, count, example }))
      .sort((a, b) => b.count - a.count),
    /** Null if nothing was answered, and for upload and download. */
    latency: latencyOf(meter),
    distribution,
    /** One for each second, and one for the rest. */
    samples: reportSamples(samples),
    /** `busy`: share of the time that this process was busy. Near 1, it limits the figures. */
    generator: { node: process.version, busy },
  };
  const thresholds = judge(figures, flags);
  const hasResults = hasOperations(mode) ? figures.operations > 0 : figures.bytes > 0;
  return {
    ...figures,
    thresholds,
    passed: hasResults && thresholds.every(({ passed }) => passed),
  };
}

function latencyOf(meter: MeterReport): LatencyReport | null {
  const { p50Us, p90Us, p99Us, p999Us, maxUs, meanUs } = meter;
  return Number.isFinite(p50Us) ? { p50Us, p90Us, p99Us, p999Us, maxUs, meanUs } : null;
}

function reportSamples(samples: readonly MeterSample[]) {
  let atMs = 0;
  /** Null if nothing was answered. */
  const finite = (us: number) => (Number.isFinite(us) ? us : null);
  return samples.map(({ elapsedMs, operations, bytes, failures, p50Us, p99Us }) => {
    atMs += elapsedMs;
    return {
      /** Its end, from the beginning of the measurement. */
      atMs,
      operationsPerSecond: (operations / elapsedMs) * 1000,
      bytesPerSecond: (bytes / elapsedMs) * 1000,
      failures,
      p50Us: finite(p50Us),
      p99Us: finite(p99Us),
    };
  });
}

/** Compares the figures with every threshold that the flags set. */
function judge(
  figures: {
    readonly latency: LatencyReport | null;
    readonly failureRatio: number;
    readonly operationsPerSecond: number;
    readonly bytesPerSecond: number;
  },
  flags: BenchFlags,
): Verdict[] {
  const { latency } = figures;
  const verdicts: Verdict[] = [];
  const atMost = (flag: string, limit: number | undefined, measured: number | null = null) => {
    if (limit === undefined) return;
    verdicts.push({ flag, limit, measured, passed: measured !== null && measured <= limit });
  };
  const atLeast = (flag: string, limit: number | undefined, measured: number) => {
    if (limit === undefined) return;
    verdicts.push({ flag, limit, measured, passed: measured >= limit });
  };
  const us = (limitMs: number | undefined) => limitMs && limitMs * 1000;
  atMost('--fail-p50', us(flags.failP50), latency?.p50Us);
  atMost('--fail-p90', us(flags.failP90), latency?.p90Us);
  atMost('--fail-p99', us(flags.failP99), latency?.p99Us);
  atMost('--fail-p999', us(flags.failP999), latency?.p999Us);
  atMost('--fail-max', us(flags.failMax), latency?.maxUs);
  atMost('--fail-errors', flags.failErrors, figures.failureRatio);
  atLeast('--min-rate', flags.minRate, figures.operationsPerSecond);
  atLeast('--min-throughput', flags.minThroughput, figures.bytesPerSecond);
  return verdicts;
}
