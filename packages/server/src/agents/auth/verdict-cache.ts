/** At most so many; the oldest make room. */
const maxEntries = 4_096;

interface Entry<V> {
  readonly value: V;
  readonly untilMs: number;
}

/** Values that are good for a while, by a key. */
export class VerdictCache<V> {
  readonly #entries = new Map<string, Entry<V>>();
  readonly #now: () => number;

  /** @param now milliseconds since the epoch */
  constructor(now: () => number) {
    this.#now = now;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    if (entry.untilMs > this.#now()) return entry.value;
    this.#entries.delete(key);
    return undefined;
  }

  /** @param untilMs since the epoch; nothing is kept if that is over */
  set(key: string, value: V, untilMs: number): void {
    if (untilMs <= this.#now()) return;
    this.#entries.delete(key);
    this.#entries.set(key, { value, untilMs });
    if (this.#entries.size <= maxEntries) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}
