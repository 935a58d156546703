import type { Transport, TransportSink } from '@fairlead/protocol';

/**
 * One end of a pair in memory, to measure the session without streams and system calls. Bytes are copied once, as the
 * kernel does, and arrive in a later tick.
 */
export class MemoryTransport implements Transport {
  readonly kind = 'memory';
  #peer: MemoryTransport | undefined;
  #sink: TransportSink | undefined;
  #arrived: Buffer[] = [];
  #isScheduled = false;

  static pair(): [MemoryTransport, MemoryTransport] {
    const [a, b] = [new MemoryTransport(), new MemoryTransport()];
    a.#peer = b;
    b.#peer = a;
    return [a, b];
  }

  start(sink: TransportSink): void {
    this.#sink = sink;
    this.#schedule();
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
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || !this.#sink) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      const arrived = this.#arrived;
      this.#arrived = [];
      for (const buffer of arrived) this.#sink?.onBytes(buffer);
    });
  }
}
