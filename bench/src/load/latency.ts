import { createHistogram } from 'node:perf_hooks';

/** Durations of one measurement in microseconds; Infinity where nothing was measured. */
export interface LatencyReport {
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
}

/** Collects durations in a histogram of three significant figures. */
export class Latency {
  readonly #histogram = createHistogram({ figures: 3 });

  /** @param startMs `performance.now()` at the start; the end is now */
  recordSince(startMs: number): void {
    // The histogram takes integers above 0; nanoseconds keep three figures of a microsecond.
    this.#histogram.record(Math.max(1, Math.round((performance.now() - startMs) * 1e6)));
  }

  reset(): void {
    this.#histogram.reset();
  }

  report(): LatencyReport {
    return { p50Us: this.#us(50), p99Us: this.#us(99), p999Us: this.#us(99.9) };
  }

  #us(percentile: number): number {
    if (this.#histogram.count === 0) return Number.POSITIVE_INFINITY;
    return this.#histogram.percentile(percentile) / 1000;
  }
}
