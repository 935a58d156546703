import { type FinalResults, Parser, type Result, type TapError } from 'tap-parser';
import { stringify } from 'yaml';

/** A failed assertion, or another reason why a test file failed. */
export interface Failure {
  /** The assertion with the tests around it: `outer > inner > assertion`. */
  readonly name: string;
  /** What tap says about it, as text; may be empty. */
  readonly detail: string;
}

/** Fields of tap's diagnosis that repeat what the source shows. */
const noise = new Set(['source', 'compare', 'tapCaught']);

/** Reads the TAP that a test file prints, and keeps what a person needs to know of it. */
export class TapResults {
  passed = 0;
  /** Names of skipped assertions and tests, with the reason where there is one. */
  readonly skipped: string[] = [];
  /** Receives lines that are not TAP. */
  onExtra: (text: string) => void = () => {};
  readonly #failures: Failure[] = [];
  readonly #parser = new Parser((results) => this.#complete(results));

  constructor() {
    this.#watch(this.#parser);
  }

  write(chunk: Buffer): void {
    this.#parser.write(chunk);
  }

  /** Ends the parser. @returns the failures */
  end(): readonly Failure[] {
    this.#parser.end();
    return this.#failures;
  }

  #watch(parser: Parser): void {
    parser.on('child', (child: Parser) => this.#watch(child));
    parser.on('assert', (result: Result) => this.#assert(result));
    parser.on('extra', (text: string) => this.onExtra(text));
    parser.on('bailout', (reason: string) =>
      this.#failures.push({ name: `bail out: ${reason}`, detail: '' }),
    );
  }

  #assert(result: Result): void {
    if (result.skip || result.todo) {
      const reason = [result.skip, result.todo].find((value) => typeof value === 'string');
      this.skipped.push(reason ? `${result.fullname}: ${reason}` : result.fullname);
      return;
    }
    // The line of a subtest sums up assertions that were counted one by one.
    if (result.closingTestPoint) return;
    if (result.ok) this.passed++;
    else this.#failures.push({ name: result.fullname, detail: detailOf(result.diag) });
  }

  #complete({ ok, failures }: FinalResults): void {
    if (ok || this.#failures.length > 0) return;
    for (const failure of failures) this.#failures.push(ofTapError(failure));
  }
}

function ofTapError(failure: TapError): Failure {
  const { tapError, fullname, name } = failure as Partial<Result>;
  return {
    name: [fullname ?? name, tapError].filter(Boolean).join(': ') || 'the TAP output is incomplete',
    detail: '',
  };
}

function detailOf(diagnosis: unknown): string {
  if (typeof diagnosis !== 'object' || diagnosis === null) return '';
  const { at, stack, diff, ...rest } = diagnosis as Record<string, unknown>;
  const { fileName, lineNumber } = (at ?? {}) as Record<string, unknown>;
  const shown = Object.entries(rest).filter(([key]) => !noise.has(key));
  return [
    fileName && `at ${fileName}:${lineNumber}`,
    shown.length > 0 && stringify(Object.fromEntries(shown)).trimEnd(),
    diff && String(diff).trimEnd(),
    stack && String(stack).trimEnd(),
  ]
    .filter(Boolean)
    .join('\n');
}
