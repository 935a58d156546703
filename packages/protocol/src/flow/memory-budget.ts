/**
 * From here on there is no room for new streams and growth. The rest is for streams that are open: were it
 * not kept, every overrun would reset one of them before a new stream was ever refused.
 */
const fullShare = 7 / 8;

/** A used-up pool is searched for idle shares no more often than this. */
const ASK_EVERY_MS = 1_000;

/**
 * Counts the bytes that streams may make a process hold, against one cap.
 *
 * Two sums are kept: `granted` is what windows have grown beyond their first 64 KiB, `buffered` what
 * streams really hold at the moment. Growth is given only while both have room. A budget may stand below
 * another (a tunnel's below the process's): what it takes, it takes from both. The lower one limits growth
 * only: what a tunnel's streams hold within their first windows is the process's concern.
 */
export class MemoryBudget {
  readonly limitBytes: number;
  readonly #parent: MemoryBudget | undefined;
  readonly #onOverrun = new Set<() => StalledStream | undefined>();
  readonly #shares = new Set<PoolShare>();
  /** When windows were asked last to give back what they do not need. */
  #askedAtMs = -Infinity;
  #grantedBytes = 0;
  #bufferedBytes = 0;

  constructor(limitBytes: number, parent?: MemoryBudget) {
    this.limitBytes = limitBytes;
    this.#parent = parent;
  }

  get grantedBytes(): number {
    return this.#grantedBytes;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** Whether new streams are refused, since the cap is near (spec 4.6). */
  get isFull(): boolean {
    return this.#parent ? this.#parent.isFull : this.#bufferedBytes >= this.limitBytes * fullShare;
  }

  /** Takes room for a window's growth; false when there is none. */
  tryGrow(bytes: number): boolean {
    if (this.isFull || !this.#hasRoom(bytes)) return false;
    if (this.#parent && !this.#parent.tryGrow(bytes)) return false;
    this.#grantedBytes += bytes;
    return true;
  }

  /** Gives back what `tryGrow` took. */
  shrink(bytes: number): void {
    this.#grantedBytes -= bytes;
    this.#parent?.shrink(bytes);
  }

  /** A window has begun to hold a share of the pool, and may be asked to give it back. */
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
    if (nowMs - this.#askedAtMs < ASK_EVERY_MS) return false;
    this.#askedAtMs = nowMs;
    for (const share of [...this.#shares]) share.giveBackIfIdle(nowMs);
    return this.#grantedBytes + bytes <= this.limitBytes;
  }

  /** Counts bytes that a stream holds from now on. Above the cap, the largest stalled stream is reset. */
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
   * Registers a finder of the largest stalled stream, asked when the cap is exceeded.
   * @returns what ends the registration
   */
  addFinder(find: () => StalledStream | undefined): () => void {
    this.#onOverrun.add(find);
    this.#parent?.addFinder(find);
    return () => this.#removeFinder(find);
  }

  #removeFinder(find: () => StalledStream | undefined): void {
    this.#onOverrun.delete(find);
    if (this.#parent) this.#parent.#removeFinder(find);
  }

  #relieve(): void {
    let largest: StalledStream | undefined;
    for (const find of this.#onOverrun) {
      const found = find();
      if (found && found.heldBytes > (largest?.heldBytes ?? 0)) largest = found;
    }
    largest?.resetForMemory();
  }
}

/** A window that has grown at the pool's expense. */
export interface PoolShare {
  /** Gives its share back if it has not needed it lately. */
  giveBackIfIdle(nowMs: number): void;
}

/** A stream that holds bytes its consumer does not take. */
export interface StalledStream {
  readonly heldBytes: number;
  /** Ends the stream with `memory_limit`, which releases what it holds. */
  resetForMemory(): void;
}
