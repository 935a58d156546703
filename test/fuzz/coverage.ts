import { Session } from 'node:inspector';

interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface ScriptCoverage {
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly Range[] }[];
}

/** The compiled packages. Other code does not count. */
const ourCode = /\/packages\/[a-z0-9]+\/dist\//;

/**
 * Tracks which code has run, with V8's block coverage, without an instrumented build or a native addon. A block
 * counts only for the first input that reaches it.
 */
export class Coverage {
  readonly #inspector = new Session();
  /** For each function, which of its characters have run. */
  readonly #seen = new Map<string, Uint8Array>();

  constructor() {
    this.#inspector.connect();
    this.#post('Profiler.enable');
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Number of characters of code that have run. */
  get size(): number {
    let size = 0;
    for (const map of this.#seen.values()) for (const isSeen of map) size += isSeen;
    return size;
  }

  /** Ignores the code that has run since the last call. */
  discard(): void {
    this.#post('Profiler.takePreciseCoverage');
  }

  /**
   * Reads which code has run since the last call.
   * @param remember whether to record the code as seen
   * @returns whether any of it had never run before
   */
  hasNew(remember = true): boolean {
    const { result } = this.#post('Profiler.takePreciseCoverage') as {
      result: readonly ScriptCoverage[];
    };
    let isNew = false;
    for (const { url, functions } of result) {
      if (!ourCode.test(url)) continue;
      for (const { ranges } of functions) isNew = this.#add(url, ranges, remember) || isNew;
    }
    return isNew;
  }

  close(): void {
    this.#post('Profiler.stopPreciseCoverage');
    this.#inspector.disconnect();
  }

  #add(url: string, ranges: readonly Range[], remember: boolean): boolean {
    const [whole] = ranges;
    if (!whole || whole.count === 0) return false;
    const from = whole.startOffset;
    const key = `${url}:${from}-${whole.endOffset}`;
    const ran = new Uint8Array(whole.endOffset - from);
    // Inner ranges follow outer ones and override them.
    for (const { startOffset, endOffset, count } of ranges) {
      ran.fill(count > 0 ? 1 : 0, startOffset - from, endOffset - from);
    }
    const seen = this.#seen.get(key);
    if (!seen) {
      if (remember) this.#seen.set(key, ran);
      return true;
    }
    let isNew = false;
    for (let at = 0; at < ran.length; at++) {
      if (ran[at] === 0 || seen[at] !== 0) continue;
      isNew = true;
      if (!remember) break;
      seen[at] = 1;
    }
    return isNew;
  }

  #post(method: string, parameters: object = {}): unknown {
    let answer: unknown;
    this.#inspector.post(method, parameters, (error: Error | null, result?: object) => {
      if (error) throw error;
      answer = result;
    });
    return answer;
  }
}
