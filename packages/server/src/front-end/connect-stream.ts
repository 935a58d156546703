import { ErrorCode, type Http2Error, type Http2Stream } from '@fairlead/http2';
import { type ClientStream, type ClientStreamHandler, TunnelError } from '@fairlead/protocol';

/** The bytes of an HTTP/2 CONNECT. */
export class ConnectStream implements ClientStream {
  readonly #stream: Http2Stream;

  constructor(stream: Http2Stream) {
    this.#stream = stream;
  }

  /** Delivers nothing until `attach` and `resume`. */
  watch(onGone: (error?: TunnelError) => void): void {
    this.#stream.pause();
    const onClose = () => onGone(this.#memoryError());
    this.#stream.attach({ onData() {}, onEnd() {}, onDrain() {}, onClose });
  }

  attach(handler: ClientStreamHandler): void {
    this.#stream.attach({
      onData: (chunk) => handler.onData(chunk),
      onEnd: () => handler.onEnd(),
      onDrain: () => handler.onDrain(),
      onClose: (error?: Http2Error) => handler.onClose(this.#memoryError() ?? error),
    });
  }

  write(chunk: Buffer): boolean {
    return this.#stream.write(chunk);
  }

  end(): void {
    this.#stream.end();
  }

  /** The connection of a CONNECT failed (RFC 9113 section 8.5). */
  reset(): void {
    this.#stream.reset(ErrorCode.CONNECT_ERROR);
  }

  consumed(bytes: number): void {
    this.#stream.consumed(bytes);
  }

  #memoryError(): TunnelError | undefined {
    if (!this.#stream.wasResetForMemory) return undefined;
    return new TunnelError('memory_limit', 'the client sent bytes that were not read');
  }
}
