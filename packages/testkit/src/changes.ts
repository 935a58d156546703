import { defaultTimeoutMs, type EventuallyOptions } from './eventually.ts';

// Kept from before a test can take control of time: a wait must end by the real clock.
const { setTimeout: realSetTimeout, clearTimeout: realClearTimeout } = globalThis;

type Truthy<Result> = Exclude<Result, false | 0 | '' | null | undefined>;

export interface UntilOptions extends EventuallyOptions {
  /** What the error says behind the awaited state. */
  readonly detail?: () => string;
}

/** Lets tests wait for states that events bring about, where `eventually` would have to poll. */
export class Changes {
  /** What the waits do to look at their states again. */
  readonly #looks = new Set<() => void>();
  #isLookPlanned = false;

  /** Has every wait look at its state again, as soon as the caller has returned. */
  notify(): void {
    if (this.#looks.size === 0 || this.#isLookPlanned) return;
    this.#isLookPlanned = true;
    queueMicrotask(() => {
      this.#isLookPlanned = false;
      for (const look of [...this.#looks]) look();
    });
  }

  /**
   * Waits until the check, which is asked now and after each `notify`, returns something truthy.
   *
   * @param what names the awaited state in the error; the text of the check if left out
   * @returns what the check returned; rejects with an Error that names the state after `timeout`,
   *   and with what the check throws
   */
  until<Result>(
    check: () => Result,
    what = String(check),
    { timeout = defaultTimeoutMs, detail = () => '' }: UntilOptions = {},
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
