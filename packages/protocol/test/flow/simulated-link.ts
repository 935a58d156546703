import type { Transport, TransportSink } from '@fairlead/protocol';
import type { VirtualClock } from '../event-loop/virtual-clock.ts';

export interface LinkOptions {
  readonly bytesPerMs: number;
  readonly oneWayMs: number;
}

/** Size of the kernel's send buffer, above which a write waits. */
const KERNEL_BYTES = 4 * 1_048_576;
/** A TLS record can be read only when all of it has arrived. */
const RECORD_BYTES = 16_384;

/**
 * One end of a link in virtual time. Bytes leave at the link's rate and arrive after a fixed delay. As with a Node
 * socket, a write is sent when the kernel has accepted its bytes.
 */
export class LinkTransport implements Transport {
  readonly kind = 'memory';
  bytesPerMs: number;
  oneWayMs: number;
  /** The peer is busy until this time, and then reads the bytes that arrived earlier. */
  peerBusyUntilMs = 0;
  readonly #clock: VirtualClock;
  #peer: LinkTransport | undefined;
  #sink: TransportSink | undefined;
  /** When the last written byte leaves. */
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

  /** How long a byte that is written now waits before it leaves. */
  get queueMs(): number {
    return Math.max(0, this.#idleAtMs - this.#clock.nowMs);
  }

  /** How long until the kernel's buffer has room for a byte that is written now. */
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
      // The caller can reuse its buffer when it has left. Each record is copied separately, since the allocator reuses
      // buffers of this size.
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
