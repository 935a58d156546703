import type { FileResult } from './run-file.ts';

/** Where the report goes. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const slowestCount = 10;
const outputLines = 60;

/** Prints a run as it goes: a line for each file, on a terminal a line of progress below them. */
export class Report {
  readonly #output: Output;
  readonly #results: FileResult[] = [];
  readonly #notes: string[] = [];
  readonly #running = new Set<string>();
  readonly #startMs = performance.now();
  #total = 0;
  #hasProgress = false;

  constructor(output: Output) {
    this.#output = output;
  }

  get failed(): readonly FileResult[] {
    return this.#results.filter(({ failures }) => failures.length > 0);
  }

  get failedCount(): number {
    return this.#results.reduce((sum, { failures }) => sum + failures.length, this.#notes.length);
  }

  get seconds(): number {
    return (performance.now() - this.#startMs) / 1_000;
  }

  suiteStarts(name: string, purpose: string, fileCount: number): void {
    this.#total += fileCount;
    this.#print(`== ${name}: ${purpose} (${count(fileCount, 'file')})`);
  }

  suiteIsSkipped(name: string, reason: string): void {
    this.#print(`== ${name}: SKIPPED, nothing was tested: ${reason}`);
  }

  fileStarts(file: string): void {
    this.#running.add(file);
    this.#showProgress();
  }

  fileEnds(result: FileResult): void {
    this.#running.delete(result.file);
    this.#results.push(result);
    const { file, seconds, passed, skipped, failures } = result;
    const skips = skipped.length > 0 ? `, ${skipped.length} skipped` : '';
    const mark = markOf(result);
    const counts = failures.length > 0 ? `${failures.length} failed, ${passed} passed` : passed;
    this.#print(`${mark} ${seconds.toFixed(1).padStart(6)} s  ${file} (${counts}${skips})`);
    this.#showProgress();
  }

  /** Something that makes the run fail and belongs to no file. */
  addFailure(text: string): void {
    this.#notes.push(text);
  }

  /** Prints the summary; its last line is `N passed, N failed`. */
  end(): void {
    const { failed } = this;
    this.#printSkipped();
    this.#printSlowest();
    if (failed.length > 0) {
      this.#print('\n== Failures');
      for (const result of failed) this.#printFailures(result);
      this.#print('\nRun just these files again:');
      this.#print(`  npm test -- ${failed.map(({ file }) => file).join(' ')}`);
    }
    for (const note of this.#notes) this.#print(`\n== ${note}`);
    const passed = this.#results.reduce((sum, result) => sum + result.passed, 0);
    const skipped = this.#results.reduce((sum, result) => sum + result.skipped.length, 0);
    this.#print(`\n${count(this.#results.length, 'file')} in ${duration(this.seconds)}`);
    const skips = skipped > 0 ? `, ${skipped} skipped` : '';
    this.#print(`${passed} passed, ${this.failedCount} failed${skips}`);
  }

  #printSkipped(): void {
    const skips = this.#results.flatMap(({ file, skipped }) =>
      skipped.map((name) => `  ${file}: ${name}`),
    );
    if (skips.length > 0) this.#print(`\n== Skipped\n${skips.join('\n')}`);
  }

  #printSlowest(): void {
    if (this.#results.length <= slowestCount) return;
    const slowest = this.#results.toSorted((a, b) => b.seconds - a.seconds).slice(0, slowestCount);
    this.#print('\n== Slowest files');
    for (const { file, seconds } of slowest) {
      this.#print(`  ${seconds.toFixed(1).padStart(6)} s  ${file}`);
    }
  }

  #printFailures({ file, failures, output }: FileResult): void {
    this.#print(`\n${file}`);
    for (const { name, detail } of failures) {
      this.#print(`  not ok: ${name}`);
      if (detail) this.#print(indent(detail, '      '));
    }
    const lines = output.trimEnd().split('\n').slice(-outputLines);
    if (output.trim()) this.#print(`    output:\n${indent(lines.join('\n'), '      ')}`);
  }

  #print(text: string): void {
    this.#clearProgress();
    this.#output.write(`${text}\n`);
  }

  #showProgress(): void {
    if (!this.#output.isTTY) return;
    this.#clearProgress();
    const state = `${this.#results.length} of ${this.#total} files, ${this.failed.length} failed`;
    const line = `${state}: ${[...this.#running].join(', ')}`;
    this.#output.write(line.slice(0, (this.#output.columns || 80) - 1));
    this.#hasProgress = true;
  }

  #clearProgress(): void {
    if (this.#hasProgress) this.#output.write('\r\x1b[2K');
    this.#hasProgress = false;
  }
}

/** A file that only skips has not passed. */
function markOf({ failures, passed }: FileResult): string {
  if (failures.length > 0) return 'FAIL';
  return passed > 0 ? 'ok  ' : 'skip';
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`;
}

function duration(seconds: number): string {
  const rounded = Math.round(seconds);
  return rounded < 60 ? `${rounded} s` : `${Math.floor(rounded / 60)} min ${rounded % 60} s`;
}

function indent(text: string, by: string): string {
  return text.replace(/^(?=.)/gm, by);
}
