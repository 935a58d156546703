import type { OpeningHandler, RelayedStream, StreamHandler, TunnelError } from '@fairlead/protocol';

/** What one waiting stream may send before the next one. */
const quantumBytes = 65_536;

/** The part of a second's bytes that may be sent at once after a pause. */
const burstShare = 0.1;

/**
 * Limits the rate of one direction of a tunnel: a token bucket. Bytes are counted after they were sent, so the
 * balance can become negative; then senders wait in a queue until it is positive again.
 */
export class Pace {
  readonly #bytesPerMs: number;
  readonly #burstBytes: number;
  readonly #waiting: (() => void)[] = [];
  #balanceBytes: number;
  #balancedAtMs = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#burstBytes = Math.max(quantumBytes, bytesPerSecond * burstShare);
    this.#balanceBytes = this.#burstBytes;
  }

  /** Counts bytes. @returns whether more may follow now; if not, see `whenFree` */
  spend(bytes: number): boolean {
    this.#refill();
    this.#balanceBytes -= bytes;
    return this.#balanceBytes > 0 && this.#waiting.length === 0;
  }

  /** Calls back when more may follow, in the order of the calls. */
  whenFree(onFree: () => void): void {
    this.#waiting.push(onFree);
    this.#arm();
  }

  #arm(): void {
    if (this.#timer || this.#waiting.length === 0) return;
    const waitMs = Math.max(1, (quantumBytes - this.#balanceBytes) / this.#bytesPerMs);
    this.#timer = setTimeout(() => this.#onTimer(), waitMs).unref();
  }

  #onTimer(): void {
    this.#timer = undefined;
    this.#refill();
    // Each sender is expected to use its quantum before the next timer.
    const senders = Math.max(1, Math.floor(this.#balanceBytes / quantumBytes));
    for (const onFree of this.#waiting.splice(0, senders)) onFree();
    this.#arm();
  }

  #refill(): void {
    const nowMs = performance.now();
    const earned = (nowMs - this.#balancedAtMs) * this.#bytesPerMs;
    this.#balanceBytes = Math.min(this.#burstBytes, this.#balanceBytes + earned);
    this.#balancedAtMs = nowMs;
  }
}

/** The bandwidth limit of one tunnel (`--max-tunnel-bandwidth`). */
export type TunnelPace = Readonly<Record<'toAgent' | 'fromAgent', Pace>>;

/**
 * A stream within its tunnel's bandwidth limit. Towards the agent, `write` makes the writer wait; from the
 * agent, credit is returned later. The stream buffers nothing and does not affect other tunnels.
 */
export class PacedStream implements RelayedStream {
  readonly #stream: RelayedStream;
  readonly #pace: TunnelPace;
  #handler: StreamHandler | OpeningHandler | undefined;
  /** The stream itself asked the writer to wait. */
  #isFull = false;
  #isWaitingToWrite = false;
  #uncreditedBytes = 0;
  #isWaitingToCredit = false;

  constructor(stream: RelayedStream, pace: TunnelPace) {
    this.#stream = stream;
    this.#pace = pace;
  }

  get pendingBytes(): number {
    return this.#stream.pendingBytes;
  }

  get isClosed(): boolean {
    return this.#stream.isClosed;
  }

  get halfCloses(): boolean {
    return this.#stream.halfCloses ?? true;
  }

  attach(handler: StreamHandler | OpeningHandler): void {
    this.#handler = handler;
    if (!handler.onData) {
      this.#stream.attach(handler);
      return;
    }
    this.#stream.attach({
      onData: (chunk) => handler.onData(chunk),
      onEnd: () => handler.onEnd(),
      onDrain: () => {
        this.#isFull = false;
        if (!this.#isWaitingToWrite) handler.onDrain();
      },
      onClose: (error) => handler.onClose(error),
    });
  }

  write(chunk: Buffer): boolean {
    if (!this.#stream.write(chunk)) this.#isFull = true;
    if (!this.#pace.toAgent.spend(chunk.length) && !this.#isWaitingToWrite) {
      this.#isWaitingToWrite = true;
      this.#pace.toAgent.whenFree(() => {
        this.#isWaitingToWrite = false;
        if (!this.#isFull && !this.isClosed && this.#handler?.onData) this.#handler.onDrain();
      });
    }
    return !this.#isFull && !this.#isWaitingToWrite;
  }

  end(): void {
    this.#stream.end();
  }

  reset(error: TunnelError): void {
    this.#stream.reset(error);
  }

  consumed(bytes: number): void {
    this.#uncreditedBytes += bytes;
    const mayCredit = this.#pace.fromAgent.spend(bytes);
    if (this.#isWaitingToCredit) return;
    if (mayCredit) {
      this.#credit();
      return;
    }
    this.#isWaitingToCredit = true;
    this.#pace.fromAgent.whenFree(() => {
      this.#isWaitingToCredit = false;
      this.#credit();
    });
  }

  #credit(): void {
    const bytes = this.#uncreditedBytes;
    this.#uncreditedBytes = 0;
    this.#stream.consumed(bytes);
  }
}
