import { defaultTimeoutMs, type EventuallyOptions } from './eventually.ts';

// The real timers, because a wait must end even if a test controls time.
const { setTimeout: realSetTimeout, clearTimeout: realClearTimeout } = globalThis;

type Truthy<Result> = Exclude<Result, false | 0 | '' | null | undefined>;

/** Lets tests wait for a state that events change, without polling as `eventually` does. */
export class Changes {
  readonly #looks = new Set<() => void>();
  #isLookPlanned = false;

  /** Repeats the check of every wait, after the caller has returned. */
  notify(): void {
    if (this.#looks.size === 0 || this.#isLookPlanned) return;
    this.#isLookPlanned = true;
    queueMicrotask(() => {
      this.#isLookPlanned = false;
      for (const look of [...this.#looks]) look();
    });
  }

  /**
   * Waits until the check is truthy. It runs now and after each `notify`.
   *
   * @param what names the awaited state in the error; the text of the check if left out
   * @param options.detail text after the state in the error
   * @returns the result of the check; rejects after `timeout` with an Error that names the state, or with
   *   the error of the check
   */
  until<Result>(
    check: () => Result,
    what = String(check),
    {
      timeout = defaultTimeoutMs,
      detail = () => '',
    }: EventuallyOptions & { readonly detail?: () => string } = {},
  ): Promise<Truthy<Result>> {
    return new Promise((resolve, reject) => {
      const settle = (how: () => void) => {
        realClearTimeout(timer);
        this.#looks.delete(look);
        how();
      };
      const look = () => {
        try {
          const result = check();
          if (result) settle(() => resolve(result as Truthy<Result>));
        } catch (error) {
          settle(() => reject(error));
        }
      };
      const timer = realSetTimeout(
        () => settle(() => reject(new Error(`not within ${timeout} ms: ${what}${detail()}`))),
        timeout,
      );
      this.#looks.add(look);
      look();
    });
  }
}
