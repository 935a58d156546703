import { ErrorCode, encodeFields, type Http2Error, type Http2Stream } from '@fairlead/http2';
import type { Call, CallHandler } from './call.ts';
import { GrpcError, grpcTrailers } from './grpc-status.ts';

const okTrailers = encodeFields(grpcTrailers());

/** The server's end of a call. */
export class ServerCall implements Call {
  readonly isServer = true;
  readonly #stream: Http2Stream;
  /** The response's head, if it was not sent. */
  #head: Buffer | undefined;
  #handler: CallHandler | undefined;
  #isEnding = false;

  /**
   * @param head a block of `encodeFields` for the response's head. It leaves with the first message or the end, as in
   *   gRPC for Go: one system call less. Without it, the response has begun
   */
  constructor(stream: Http2Stream, head?: Buffer) {
    this.#stream = stream;
    this.#head = head;
  }

  get isClosed(): boolean {
    return this.#stream.isClosed;
  }

  get pendingBytes(): number {
    return this.#stream.pendingBytes;
  }

  attach(handler: CallHandler): void {
    this.#handler = handler;
    this.#stream.attach(this);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  write(bytes: Buffer, onLeft?: () => void): void {
    this.#respond();
    this.#stream.write(bytes, onLeft);
  }

  /** What the peer still sends is dropped: the answer is complete (RFC 9113 section 8.1). */
  end(error?: GrpcError): void {
    this.#isEnding = true;
    this.#respond();
    this.#stream.finish(error ? encodeFields(grpcTrailers(error)) : okTrailers);
  }

  cancel(): void {
    this.#isEnding = true;
    this.#stream.reset(ErrorCode.CANCEL);
  }

  onData(chunk: Buffer): void {
    this.#stream.consumed(chunk.length);
    this.#handler?.onData(chunk);
  }

  onDrain(): void {
    this.#handler?.onDrain();
  }

  onEnd(): void {
    this.#handler?.onEnd();
  }

  onClose(error?: Http2Error): void {
    if (!error || this.#isEnding) this.#handler?.onClose();
    else if (error.code === ErrorCode.CANCEL) {
      this.#handler?.onClose(new GrpcError('CANCELLED', 'the peer cancelled the call'));
    } else this.#handler?.onClose(new GrpcError('UNAVAILABLE', error.message));
  }

  #respond(): void {
    if (!this.#head) return;
    this.#stream.respond(this.#head);
    this.#head = undefined;
  }
}
