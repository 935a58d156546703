/**
 * Above this share of the cap, new streams are refused and windows do not grow. The rest is reserved for open streams.
 * Without it, an overrun would reset an open stream before a new one is refused.
 */
const FULL_SHARE = 7 / 8;

/** The shortest time between two searches of a used-up pool for idle shares. */
const RECLAIM_INTERVAL_MS = 1_000;

const DEFAULT_LIMIT_BYTES = 64 * 1_048_576;

/**
 * Counts the bytes that streams make a process hold, against one cap.
 *
 * It keeps two sums: `granted` is how much windows have grown beyond their first 64 KiB, `buffered` is how much
 * streams hold at the moment. A window grows only while both have room. A budget can have a parent, as a tunnel's budget
 * has the process's: then each byte counts in both. A budget with a parent limits only growth. What its streams hold
 * within their first windows is limited by the parent.
 */
export class MemoryBudget {
  readonly limitBytes: number;
  readonly #parent: MemoryBudget | undefined;
  readonly #finders = new Set<() => StalledStream | undefined>();
  readonly #shares = new Set<PoolShare>();
  #reclaimedAtMs = -Infinity;
  #grantedBytes = 0;
  #bufferedBytes = 0;

  constructor(limitBytes = DEFAULT_LIMIT_BYTES, parent?: MemoryBudget) {
    this.limitBytes = limitBytes;
    this.#parent = parent;
  }

  get grantedBytes(): number {
    return this.#grantedBytes;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** Whether the cap is so near that new streams are refused (spec 4.6). */
  get isFull(): boolean {
    return this.#parent ? this.#parent.isFull : this.#bufferedBytes >= this.limitBytes * FULL_SHARE;
  }

  /** Takes room for a window's growth. @returns false if there is none */
  tryGrow(bytes: number): boolean {
    if (this.isFull || !this.#hasRoom(bytes)) return false;
    if (this.#parent && !this.#parent.tryGrow(bytes)) return false;
    this.#grantedBytes += bytes;
    return true;
  }

  /** Returns room that `tryGrow` took. */
  shrink(bytes: number): void {
    this.#grantedBytes -= bytes;
    this.#parent?.shrink(bytes);
  }

  /** Registers a window that holds a share of the pool. It may be asked to return the share. */
  addShare(share: PoolShare): void {
    this.#shares.add(share);
    this.#parent?.addShare(share);
  }

  deleteShare(share: PoolShare): void {
    this.#shares.delete(share);
    this.#parent?.deleteShare(share);
  }

  #hasRoom(bytes: number): boolean {
    if (this.#grantedBytes + bytes <= this.limitBytes) return true;
    const nowMs = performance.now();
    if (nowMs - this.#reclaimedAtMs < RECLAIM_INTERVAL_MS) return false;
    this.#reclaimedAtMs = nowMs;
    for (const share of [...this.#shares]) share.returnIfIdle(nowMs);
    return this.#grantedBytes + bytes <= this.limitBytes;
  }

  /** Counts bytes that a stream now holds. Above the cap, the stream that holds most is reset. */
  hold(bytes: number): void {
    this.#bufferedBytes += bytes;
    if (this.#parent) this.#parent.hold(bytes);
    else if (this.#bufferedBytes > this.limitBytes) this.#relieve();
  }

  /** Counts bytes that a stream no longer holds. */
  release(bytes: number): void {
    this.#bufferedBytes -= bytes;
    this.#parent?.release(bytes);
  }

  /**
   * Registers a function that finds the stream that holds most. It is called when the cap is exceeded.
   * @returns a function that ends the registration
   */
  addFinder(find: () => StalledStream | undefined): () => void {
    this.#finders.add(find);
    this.#parent?.addFinder(find);
    return () => this.#removeFinder(find);
  }

  #removeFinder(find: () => StalledStream | undefined): void {
    this.#finders.delete(find);
    if (this.#parent) this.#parent.#removeFinder(find);
  }

  #relieve(): void {
    const found = [...this.#finders].map((find) => find()).filter((stream) => stream !== undefined);
    largestOf(found)?.resetForMemory();
  }
}

/** @returns the stream that holds most; undefined if none holds anything */
export function largestOf<Stream extends StalledStream>(
  streams: Iterable<Stream>,
): Stream | undefined {
  let largest: Stream | undefined;
  for (const stream of streams) {
    if (stream.heldBytes > (largest?.heldBytes ?? 0)) largest = stream;
  }
  return largest;
}

/** A window that has grown at the pool's expense. */
export interface PoolShare {
  /** Returns its share if it has not needed it lately. */
  returnIfIdle(nowMs: number): void;
}

/** A stream that holds bytes which its consumer does not take. */
export interface StalledStream {
  readonly heldBytes: number;
  /** Ends the stream with `memory_limit`, which releases what it holds. */
  resetForMemory(): void;
}
