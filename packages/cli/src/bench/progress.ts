import type { MeterSample } from '@fairlead/client/load';
import type { BenchMode } from './bench-plan.ts';
import { hasOperations } from './bench-report.ts';
import { formatBytes, formatCount, formatUs, operationNames } from './figures.ts';

interface ProgressOptions {
  readonly mode: BenchMode;
  readonly streams: number;
  readonly durationMs: number;
  readonly quiet: boolean;
  readonly output: Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'write'>;
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

/** One line that is rewritten on a terminal; elsewhere one line for each second. */
export class Progress {
  readonly #options: ProgressOptions;
  #failures = 0;
  #hasLine = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  phase(text: string): void {
    this.#show(text);
  }

  /** Formats a line before the measurement, because the first one blocks the event loop for 13 ms. */
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

  /** Clears the line on a terminal. */
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
    // A wrapped line cannot be rewritten.
    output.write(`\r\x1b[K${line.slice(0, Math.max(20, (output.columns ?? 80) - 1))}`);
    this.#hasLine = true;
  }
}
