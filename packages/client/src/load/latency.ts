import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** Durations in microseconds; Infinity where nothing was measured. */
export interface LatencyReport {
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
  readonly meanUs: number;
}

/** A point of the distribution: `percentile` of the durations are no longer than `us`. */
export interface LatencyPoint {
  readonly percentile: number;
  readonly us: number;
}

/** Collects durations in a histogram of three significant figures. */
export class Latency {
  readonly #histogram = createHistogram({ figures: 3 });

  /** @param startMs `performance.now()` at the start; the end is now */
  recordSince(startMs: number): void {
    // The histogram takes integers above 0; nanoseconds keep three figures of a microsecond.
    this.#histogram.record(Math.max(1, Math.round((performance.now() - startMs) * 1e6)));
  }

  add(other: Latency): void {
    if (other.#histogram.count > 0) this.#histogram.add(other.#histogram);
  }

  reset(): void {
    this.#histogram.reset();
  }

  report(): LatencyReport {
    const histogram = this.#histogram;
    const us = (percentile: number) => percentileUs(histogram, percentile);
    const isEmpty = histogram.count === 0;
    return {
      p50Us: us(50),
      p90Us: us(90),
      p99Us: us(99),
      p999Us: us(99.9),
      maxUs: isEmpty ? Number.POSITIVE_INFINITY : histogram.max / 1000,
      meanUs: isEmpty ? Number.POSITIVE_INFINITY : histogram.mean / 1000,
    };
  }

  /** The whole distribution, finer towards its end. Empty where nothing was measured. */
  distribution(): LatencyPoint[] {
    if (this.#histogram.count === 0) return [];
    return [...this.#histogram.percentiles].map(([percentile, value]) => ({
      percentile,
      us: value / 1000,
    }));
  }
}

function percentileUs(histogram: RecordableHistogram, percentile: number): number {
  if (histogram.count === 0) return Number.POSITIVE_INFINITY;
  return histogram.percentile(percentile) / 1000;
}
