import { createHistogram } from 'node:perf_hooks';

export type LatencyReport = ReturnType<Latency['report']>;

/** A point of the distribution: `percentile` percent of the durations are at most `us`. */
export interface LatencyPoint {
  readonly percentile: number;
  readonly us: number;
}

/** Collects durations in a histogram of three significant figures. */
export class Latency {
  readonly #histogram = createHistogram({ figures: 3 });

  /** @param startMs `performance.now()` at the start; the end is now */
  recordSince(startMs: number): void {
    // The histogram accepts integers above 0. Nanoseconds keep three figures of a microsecond.
    this.#histogram.record(Math.max(1, Math.round((performance.now() - startMs) * 1e6)));
  }

  add(other: Latency): void {
    if (other.#histogram.count > 0) this.#histogram.add(other.#histogram);
  }

  reset(): void {
    this.#histogram.reset();
  }

  /** Durations in microseconds; Infinity if nothing was measured. */
  report() {
    const histogram = this.#histogram;
    const toUs = (ns: number) => (histogram.count === 0 ? Number.POSITIVE_INFINITY : ns / 1000);
    const us = (percentile: number) => toUs(histogram.percentile(percentile));
    return {
      p50Us: us(50),
      p90Us: us(90),
      p99Us: us(99),
      p999Us: us(99.9),
      maxUs: toUs(histogram.max),
      meanUs: toUs(histogram.mean),
    };
  }

  /** The whole distribution, finer towards its end. Empty if nothing was measured. */
  distribution(): LatencyPoint[] {
    if (this.#histogram.count === 0) return [];
    return [...this.#histogram.percentiles].map(([percentile, value]) => ({
      percentile,
      us: value / 1000,
    }));
  }
}
