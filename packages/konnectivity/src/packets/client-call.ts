import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2';
import { corkUntilTickEnd } from '@fairlead/protocol';
import type { Call, CallHandler } from './call.ts';
import { errorFromTrailers, GrpcError } from './grpc-status.ts';

/** The client's end of a call, on a stream of `node:http2` whose response's head has arrived. */
export class ClientCall implements Call {
  readonly isServer = false;
  readonly #stream: ClientHttp2Stream;
  #trailers: IncomingHttpHeaders | undefined;
  #isEnding = false;

  constructor(stream: ClientHttp2Stream) {
    this.#stream = stream;
    // 'close' follows and is handled.
    stream.on('error', () => {});
    stream.once('trailers', (trailers: IncomingHttpHeaders) => {
      this.#trailers = trailers;
    });
  }

  get isClosed(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  get pendingBytes(): number {
    return this.#stream.writableLength;
  }

  attach(handler: CallHandler): void {
    const stream = this.#stream;
    const onClose = () => handler.onClose(this.#causeOfClose());
    if (stream.closed && stream.destroyed) {
      process.nextTick(onClose);
      return;
    }
    stream.on('data', (chunk: Buffer) => handler.onData(chunk));
    stream.on('drain', () => handler.onDrain());
    stream.on('end', () => {
      // A stream that was reset still emits 'end', and then 'close'.
      if (!this.#wasReset) handler.onEnd();
    });
    stream.on('close', onClose);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  write(bytes: Buffer, onLeft?: () => void): void {
    corkUntilTickEnd(this.#stream);
    this.#stream.write(bytes, onLeft);
  }

  end(): void {
    this.#isEnding = true;
    this.#stream.end();
  }

  cancel(): void {
    this.#isEnding = true;
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  #causeOfClose(): GrpcError | undefined {
    if (this.#trailers) return errorFromTrailers(this.#trailers);
    if (this.#wasReset) {
      const text = `the HTTP/2 stream was reset with code ${this.#stream.rstCode}`;
      return new GrpcError('UNAVAILABLE', text);
    }
    return this.#isEnding ? undefined : new GrpcError('UNAVAILABLE', 'the connection was closed');
  }

  get #wasReset(): boolean {
    const { aborted, rstCode } = this.#stream;
    return aborted || (rstCode !== undefined && rstCode !== constants.NGHTTP2_NO_ERROR);
  }
}
