import { Duplex } from 'node:stream';
import { TunnelError } from './errors.ts';
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
  /** Pushed to the reader and not yet taken. */
  #unreadBytes = 0;
  #onRoom: ((error?: Error | null) => void) | undefined;

  constructor(stream: TunnelStream) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    stream.handler = this;
  }

  onData(chunk: Buffer): void {
    this.#unreadBytes += chunk.length;
    this.push(chunk);
  }

  onEnd(): void {
    this.push(null);
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
    const taken = this.#unreadBytes - this.readableLength;
    if (taken <= 0) return;
    this.#unreadBytes -= taken;
    this.#stream.consumed(taken);
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
    if (error || !this.readableEnded || !this.writableFinished) {
      const reason = error instanceof TunnelError ? error : new TunnelError('cancelled');
      this.#stream.reset(reason);
    }
    callback(error);
  }
}
