import type { MeterSample } from '@fairlead/client/load';
import type { BenchMode } from './bench-plan.ts';
import { hasOperations } from './bench-report.ts';
import { formatBytes, formatCount, formatUs, operationNames } from './figures.ts';

/** Where progress goes: stderr, or what stands for it. */
interface ProgressOutput {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

export interface ProgressOptions {
  readonly mode: BenchMode;
  readonly streams: number;
  readonly durationMs: number;
  readonly quiet: boolean;
  readonly output: ProgressOutput;
}

const nothing: MeterSample = {
  elapsedMs: 1,
  bytes: 0,
  operations: 0.5,
  failures: 0,
  p50Us: 0,
  p99Us: 0,
  maxUs: 0,
};

/** One line that is rewritten on a terminal, and a line for each second elsewhere. */
export class Progress {
  readonly #options: ProgressOptions;
  #failures = 0;
  #hasLine = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  /** Before the measurement: what is going on. */
  phase(text: string): void {
    this.#show(text);
  }

  /** Formats a line, as the first one holds the event loop up for 13 ms: they must not be measured. */
  warmUp(): void {
    if (!this.#options.quiet) this.#line(nothing, 0);
  }

  /** @param atMs since the measurement began */
  sample(sample: MeterSample, atMs: number): void {
    if (this.#options.quiet) return;
    this.#failures += sample.failures;
    this.#show(this.#line(sample, atMs));
  }

  #line(sample: MeterSample, atMs: number): string {
    const { mode, streams, durationMs } = this.#options;
    const perSecond = 1000 / sample.elapsedMs;
    const parts = [
      `${(atMs / 1000).toFixed(0).padStart(3)}/${Math.round(durationMs / 1000)} s`,
      ...(hasOperations(mode)
        ? [
            `${formatCount(sample.operations * perSecond)} ${operationNames[mode]}/s`,
            `p50 ${formatUs(sample.p50Us)}`,
            `p99 ${formatUs(sample.p99Us)}`,
          ]
        : []),
      `${formatBytes(sample.bytes * perSecond)}/s`,
      `${formatCount(streams)} streams`,
      `${formatCount(this.#failures)} errors`,
    ];
    return parts.join('  ');
  }

  /** Leaves the terminal at the beginning of an empty line. */
  end(): void {
    if (this.#hasLine) this.#options.output.write('\r\x1b[K');
    this.#hasLine = false;
  }

  #show(line: string): void {
    const { output, quiet } = this.#options;
    if (quiet) return;
    if (!output.isTTY) {
      output.write(`${line}\n`);
      return;
    }
    // A line that wraps could not be rewritten.
    output.write(`\r\x1b[K${line.slice(0, Math.max(20, (output.columns ?? 80) - 1))}`);
    this.#hasLine = true;
  }
}
