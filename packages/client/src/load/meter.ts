import { Latency, type LatencyPoint } from './latency.ts';

export type MeterReport = ReturnType<Meter['end']>;
export type MeterSample = ReturnType<Meter['sample']>;

export class Meter {
  /** Latencies since the last sample, or since `begin` if no samples are taken. */
  readonly latency = new Latency();
  bytes = 0;
  operations = 0;
  readonly #total = new Latency();
  readonly #failures = new Map<string, { count: number; example: string }>();
  #failureCount = 0;
  #firstFailure: string | undefined;
  #beganMs = performance.now();
  #sampled = { atMs: this.#beganMs, bytes: 0, operations: 0, failures: 0 };

  fail(error: Error): void {
    this.#failureCount++;
    this.#firstFailure ??= error.message;
    const code = (error as { code?: unknown }).code;
    const key = typeof code === 'string' ? code : 'error';
    const known = this.#failures.get(key);
    if (known) known.count++;
    else this.#failures.set(key, { count: 1, example: error.message });
  }

  begin(): void {
    this.latency.reset();
    this.#total.reset();
    this.bytes = this.operations = this.#failureCount = 0;
    this.#firstFailure = undefined;
    this.#failures.clear();
    this.#beganMs = performance.now();
    this.#sampled = { atMs: this.#beganMs, bytes: 0, operations: 0, failures: 0 };
  }

  /** What happened since the last sample, or since `begin`. */
  sample() {
    const last = this.#sampled;
    const atMs = performance.now();
    const { p50Us, p99Us, maxUs } = this.latency.report();
    this.#total.add(this.latency);
    this.latency.reset();
    const { bytes, operations } = this;
    const failures = this.#failureCount;
    this.#sampled = { atMs, bytes, operations, failures };
    return {
      elapsedMs: atMs - last.atMs,
      bytes: bytes - last.bytes,
      operations: operations - last.operations,
      failures: failures - last.failures,
      p50Us,
      p99Us,
      maxUs,
    };
  }

  /** What happened since `begin`. */
  end() {
    const elapsedMs = performance.now() - this.#beganMs;
    this.#total.add(this.latency);
    this.latency.reset();
    return {
      elapsedMs,
      bytes: this.bytes,
      operations: this.operations,
      failures: this.#failureCount,
      ...(this.#firstFailure === undefined ? {} : { firstFailure: this.#firstFailure }),
      /** By `ClientError.code`, or `error` for an error without one; `example` is the text of the first. */
      failuresByCode: Object.fromEntries(this.#failures),
      ...this.#total.report(),
    };
  }

  /** The whole distribution of the latencies in the report of `end`. */
  distribution(): LatencyPoint[] {
    return this.#total.distribution();
  }
}
