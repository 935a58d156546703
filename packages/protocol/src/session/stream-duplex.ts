import { Duplex } from 'node:stream';
import { TunnelError } from '../wire/errors.ts';
import type { StreamHandler, TunnelStream } from './stream.ts';

/**
 * A stream as a Node Duplex that allows half-open, for callers that prefer Node's stream interface to speed.
 * `destroy` resets the stream. A reset by the peer destroys the Duplex with a TunnelError.
 */
export function streamToDuplex(stream: TunnelStream): Duplex {
  return new StreamDuplex(stream);
}

class StreamDuplex extends Duplex implements StreamHandler {
  readonly #stream: TunnelStream;
  /** Chunks that arrived while the reader does not want more. Credit is given when it takes them. */
  readonly #waiting: Buffer[] = [];
  #peerEnded = false;
  #isReading = false;
  /** The callback of a write that waits for room. */
  #onRoom: ((error?: Error | null) => void) | undefined;

  constructor(stream: TunnelStream) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    stream.attach(this);
  }

  onData(chunk: Buffer): void {
    this.#waiting.push(chunk);
    this.#deliver();
  }

  onEnd(): void {
    this.#peerEnded = true;
    this.#deliver();
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
    this.#deliver();
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

  /** Delivers waiting chunks while the reader wants more. */
  #deliver(): void {
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
