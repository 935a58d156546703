import type { Http2Error, Http2Stream } from '@fairlead/http2';
import { type Transport, type TransportSink, TunnelError } from '@fairlead/protocol';

/** A tunnel in the bodies of an HTTP/2 request and of its response (spec 10.3). */
export class Http2Transport implements Transport {
  readonly kind = 'http2';
  readonly #stream: Http2Stream;
  #sink: TransportSink | undefined;
  #error: Error | undefined;
  #isEnding = false;
  #isDestroyed = false;

  constructor(stream: Http2Stream) {
    this.#stream = stream;
  }

  start(sink: TransportSink): void {
    this.#sink = sink;
    // The sink must not be called within this call.
    process.nextTick(() => this.#stream.attach(this));
  }

  write(bytes: Buffer, onSent: () => void): void {
    if (!this.#isEnding) this.#stream.write(bytes, onSent);
  }

  end(): void {
    this.#isEnding = true;
    this.#stream.end();
  }

  destroy(error?: Error): void {
    if (this.#stream.isClosed) return;
    this.#isEnding = true;
    this.#isDestroyed = true;
    this.#error ??= error;
    this.#stream.reset();
  }

  onData(chunk: Buffer): void {
    this.#stream.consumed(chunk.length);
    if (!this.#isDestroyed) this.#sink?.onBytes(chunk);
  }

  onEnd(): void {
    this.end();
  }

  onDrain(): void {}

  onClose(error?: Http2Error): void {
    const sink = this.#sink;
    this.#sink = undefined;
    const cause = error && new TunnelError('tunnel_lost', error.message, { cause: error });
    sink?.onClose(this.#isDestroyed ? this.#error : cause);
  }
}
