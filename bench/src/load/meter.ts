import { Latency, type LatencyReport } from './latency.ts';

/** What happened between `begin` and `end`. */
export interface MeterReport extends LatencyReport {
  readonly elapsedMs: number;
  readonly bytes: number;
  readonly operations: number;
  readonly failures: number;
  /** Of one failure, to tell why. */
  readonly firstFailure?: string;
}

/** Counts what a load or a target does. One per process. */
export class Meter {
  readonly latency = new Latency();
  bytes = 0;
  operations = 0;
  #failures = 0;
  #firstFailure: string | undefined;
  #beganMs = performance.now();

  fail(error: Error): void {
    this.#failures++;
    this.#firstFailure ??= error.message;
  }

  begin(): void {
    this.latency.reset();
    this.bytes = this.operations = this.#failures = 0;
    this.#firstFailure = undefined;
    this.#beganMs = performance.now();
  }

  end(): MeterReport {
    return {
      elapsedMs: performance.now() - this.#beganMs,
      bytes: this.bytes,
      operations: this.operations,
      failures: this.#failures,
      ...(this.#firstFailure === undefined ? {} : { firstFailure: this.#firstFailure }),
      ...this.latency.report(),
    };
  }
}
