import { Duplex } from 'node:stream';
import { TunnelError } from '../wire/errors.ts';
import type { StreamHandler, TunnelStream } from './stream.ts';

/**
 * A stream as a Node Duplex, half-open by default, for callers who want Node's stream interface more
 * than speed. Destroying it resets the stream; a reset by the peer destroys it with a TunnelError.
 */
export function streamToDuplex(stream: TunnelStream): Duplex {
  return new StreamDuplex(stream);
}

class StreamDuplex extends Duplex implements StreamHandler {
  readonly #stream: TunnelStream;
  /** Arrived while the reader wants no more; credit is given when it does. */
  readonly #waiting: Buffer[] = [];
  #peerEnded = false;
  #isReading = false;
  /** The callback of a write that waits for room. */
  #onRoom: ((error?: Error | null) => void) | undefined;

  constructor(stream: TunnelStream) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    stream.handler = this;
  }

  onData(chunk: Buffer): void {
    this.#waiting.push(chunk);
    this.#hand();
  }

  onEnd(): void {
    this.#peerEnded = true;
    this.#hand();
  }

  onDrain(): void {
    const onRoom = this.#onRoom;
    this.#onRoom = undefined;
    onRoom?.();
  }

  onClose(error?: TunnelError): void {
    if (error) this.destroy(error);
  }

  override _read(): void {
    this.#isReading = true;
    this.#hand();
  }

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding,
    callback: (error?: Error | null) => void,
  ): void {
    if (this.#stream.write(chunk)) callback();
    else this.#onRoom = callback;
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#stream.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const reason = error instanceof TunnelError ? error : new TunnelError('cancelled');
    if (error || !this.readableEnded || !this.writableFinished) this.#stream.reset(reason);
    this.#waiting.length = 0;
    const onRoom = this.#onRoom;
    this.#onRoom = undefined;
    onRoom?.(reason);
    callback(error);
  }

  /** Passes on what waits, for as long as the reader asks for it. */
  #hand(): void {
    while (this.#isReading) {
      const chunk = this.#waiting.shift();
      if (!chunk) {
        if (this.#peerEnded) this.push(null);
        return;
      }
      this.#isReading = this.push(chunk);
      this.#stream.consumed(chunk.length);
    }
  }
}
