import type { Transport, TransportSink } from '@fairlead/protocol';
import type { VirtualClock } from './virtual-clock.ts';

export interface LinkOptions {
  readonly bytesPerMs: number;
  readonly oneWayMs: number;
}

/** What a kernel takes into its send buffer before a write has to wait. */
const KERNEL_BYTES = 4 * 1_048_576;
/** Nothing of a TLS record can be read before all of it has arrived. */
const RECORD_BYTES = 16_384;

/**
 * One end of a link in virtual time: bytes leave one after the other at the link's rate and arrive a
 * fixed time later. As with a Node socket, a write has left when the kernel has taken its bytes.
 */
export class LinkTransport implements Transport {
  readonly kind = 'memory';
  bytesPerMs: number;
  oneWayMs: number;
  /** What arrives before this time is not read until then: a busy process at the far end. */
  peerBusyUntilMs = 0;
  readonly #clock: VirtualClock;
  #peer: LinkTransport | undefined;
  #sink: TransportSink | undefined;
  /** When the last byte written will have left. */
  #idleAtMs = 0;
  #isClosed = false;

  constructor(clock: VirtualClock, options: LinkOptions) {
    this.#clock = clock;
    this.bytesPerMs = options.bytesPerMs;
    this.oneWayMs = options.oneWayMs;
  }

  static pair(clock: VirtualClock, options: LinkOptions): [LinkTransport, LinkTransport] {
    const one = new LinkTransport(clock, options);
    const other = new LinkTransport(clock, options);
    one.#peer = other;
    other.#peer = one;
    return [one, other];
  }

  /** How long a byte written now would wait before it leaves. */
  get queueMs(): number {
    return Math.max(0, this.#idleAtMs - this.#clock.nowMs);
  }

  /** How long the kernel's buffer takes to have room for a byte written now. */
  get #kernelMs(): number {
    return Math.max(0, this.queueMs - KERNEL_BYTES / this.bytesPerMs);
  }

  start(sink: TransportSink): void {
    this.#sink = sink;
  }

  write(bytes: Buffer, onSent: () => void): void {
    if (this.#isClosed) return;
    for (let at = 0; at < bytes.length; at += RECORD_BYTES) {
      const length = Math.min(RECORD_BYTES, bytes.length - at);
      this.#idleAtMs = Math.max(this.#idleAtMs, this.#clock.nowMs) + length / this.bytesPerMs;
      // The caller may use its buffer again once it has left. A buffer for each record: the allocator has
      // one of this size at hand, while memory for the whole write would come fresh from the system.
      const record = Buffer.allocUnsafeSlow(length);
      bytes.copy(record, 0, at);
      this.#clock.at(this.#idleAtMs + this.oneWayMs, () => this.#arrive(record));
    }
    this.#clock.after(this.#kernelMs, () => {
      if (!this.#isClosed) onSent();
    });
  }

  end(): void {
    this.#clock.after(this.queueMs + this.oneWayMs, () => this.#peer?.destroy());
    this.destroy();
  }

  destroy(error?: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#clock.after(0, () => this.#sink?.onClose(error));
  }

  #arrive(record: Buffer): void {
    if (this.#clock.nowMs < this.peerBusyUntilMs) {
      this.#clock.at(this.peerBusyUntilMs, () => this.#arrive(record));
      return;
    }
    const peer = this.#peer!;
    if (!peer.#isClosed) peer.#sink?.onBytes(record);
  }
}
