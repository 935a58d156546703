import type { Transport, TransportSink } from '@fairlead/protocol';

/**
 * One end of a pair in memory: bytes arrive in a later turn of the event loop, copied once as the
 * kernel would, without streams and system calls, so that what remains is the session's own cost.
 */
export class MemoryTransport implements Transport {
  readonly kind = 'memory';
  #peer: MemoryTransport | undefined;
  #sink: TransportSink | undefined;
  #arrived: Buffer[] = [];
  #isPlanned = false;

  static pair(): [MemoryTransport, MemoryTransport] {
    const [a, b] = [new MemoryTransport(), new MemoryTransport()];
    a.#peer = b;
    b.#peer = a;
    return [a, b];
  }

  start(sink: TransportSink): void {
    this.#sink = sink;
    this.#plan();
  }

  write(bytes: Buffer, onSent: () => void): void {
    const peer = this.#peer;
    if (peer) peer.#receive(Buffer.from(bytes));
    setImmediate(onSent);
  }

  end(): void {
    this.destroy();
  }

  destroy(): void {
    const peer = this.#peer;
    this.#peer = undefined;
    if (!peer) return;
    setImmediate(() => this.#sink?.onClose());
    peer.destroy();
  }

  #receive(bytes: Buffer): void {
    this.#arrived.push(bytes);
    this.#plan();
  }

  #plan(): void {
    if (this.#isPlanned || !this.#sink) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      const arrived = this.#arrived;
      this.#arrived = [];
      for (const buffer of arrived) this.#sink?.onBytes(buffer);
    });
  }
}
