import { ChunkQueue, type StalledStream } from '@fairlead/protocol';
import type { Http2StreamHandler, StreamHost } from './stream-host.ts';
import {
  ErrorCode,
  encodeFrame,
  encodeNumbers,
  Flag,
  FrameType,
  Http2Error,
  MAX_WINDOW_BYTES,
} from './wire/frames.ts';
import type { RequestHead } from './wire/request-head.ts';

/** `write` returns false while this much waits, or while memory is short. */
const HIGH_WATER_BYTES = 131_072;
/** `onDrain` is called when less than this waits. */
const LOW_WATER_BYTES = 65_536;

/**
 * One request and its response (RFC 9113 section 5). The server's side of a stream: `respond`, then `write` and `end`.
 * What arrives is delivered to the attached handler; before that, and while paused, it is held.
 */
export class Http2Stream implements StalledStream {
  readonly id: number;
  readonly request: RequestHead;
  /** What the client lets us send. */
  sendWindowBytes: number;
  readonly #host: StreamHost;
  #handler: Http2StreamHandler | undefined;
  /** What the client may still send. */
  #creditBytes: number;
  /** Arrived and not consumed. */
  #unconsumedBytes = 0;
  /** Consumed and not granted again. */
  #ungrantedBytes = 0;
  #receivedBytes = 0;
  /** Arrived and not delivered. */
  readonly #held = new ChunkQueue();
  #isPaused = false;
  #isDelivering = false;
  /** Written and not sent. */
  readonly #pending = new ChunkQueue();
  /** Writes whose bytes have not left, and how much was pending up to each. */
  readonly #waiting: { pendingBytes: number; onSent: () => void }[] = [];
  #wantsDrain = false;
  #hasResponded = false;
  /** No more writes follow. */
  #isEnding = false;
  #endSent = false;
  /** Nothing more is read, and the stream closes when the end has been sent. */
  #isFinishing = false;
  #trailers: Buffer | undefined;
  #peerEnded = false;
  #endDelivered = false;
  /** The code of a reset by this side that waits for the bytes before it. */
  #resetCode: number | undefined;
  #wasResetForMemory = false;
  #isClosed = false;
  #closeError: Http2Error | undefined;

  constructor(id: number, request: RequestHead, sendWindowBytes: number, host: StreamHost) {
    this.id = id;
    this.request = request;
    this.sendWindowBytes = sendWindowBytes;
    this.#host = host;
    this.#creditBytes = host.streamWindowBytes;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The client has ended its direction, which does not mean that all has been delivered. */
  get peerEnded(): boolean {
    return this.#peerEnded;
  }

  /** Written bytes that are not yet handed to the socket. */
  get pendingBytes(): number {
    return this.#pending.bytes;
  }

  /** Arrived bytes that the consumer has not taken. */
  get undeliveredBytes(): number {
    return this.#unconsumedBytes;
  }

  /** Both directions. */
  get heldBytes(): number {
    return this.#unconsumedBytes + this.#pending.bytes;
  }

  /** Sets the consumer. Within the call, it gets what arrived before. */
  attach(handler: Http2StreamHandler): void {
    this.#handler = handler;
    if (this.#isClosed) handler.onClose(this.#closeError);
    else this.#deliver();
  }

  /** Stops delivery. The client's window then stops the client. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#deliver();
  }

  /** Sends the response's head. @param block of `encodeFields` */
  respond(block: Buffer, endStream = false): void {
    if (this.#isClosed || this.#hasResponded) return;
    this.#hasResponded = true;
    const flags = Flag.END_HEADERS | (endStream ? Flag.END_STREAM : 0);
    this.#host.writer.sendControl(encodeFrame(FrameType.HEADERS, flags, this.id, block));
    if (endStream) this.#onEndSent();
  }

  /**
   * Sends a chunk, which belongs to the stream from here on.
   * @param onSent called when the bytes have left this process; not if the stream closes before
   * @returns false if the caller must wait for `onDrain`
   */
  write(chunk: Buffer, onSent?: () => void): boolean {
    if (this.#isClosed || this.#isEnding) return true;
    this.#pending.push(chunk);
    if (onSent) this.#waiting.push({ pendingBytes: this.#pending.bytes, onSent });
    this.#host.memory.hold(chunk.length);
    this.#host.writer.add(this);
    if (this.#pending.bytes < HIGH_WATER_BYTES && !this.#host.memory.isFull) return true;
    this.#wantsDrain = true;
    return false;
  }

  /** Ends this direction after all written bytes. @param trailers a block of `encodeFields` */
  end(trailers?: Buffer): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#isEnding = true;
    this.#trailers = trailers;
    this.#host.writer.add(this);
  }

  /**
   * Ends this direction after all written bytes, and lets the client know that it need not send more: RST_STREAM with
   * NO_ERROR follows the end (RFC 9113 section 8.1). What the client still sends is dropped.
   */
  finish(trailers?: Buffer): void {
    if (this.#isClosed) return;
    this.#isFinishing = true;
    this.#discardReceived();
    this.end(trailers);
    if (this.#endSent) this.#onEndSent();
  }

  /**
   * Ends both directions. Written bytes leave first, as far as the client's windows allow it at once.
   * Does nothing if the stream is closed.
   */
  reset(code: number = ErrorCode.CANCEL): void {
    if (this.#isClosed || this.#resetCode !== undefined) return;
    this.#resetCode = code;
    this.#isEnding = true;
    this.#discardReceived();
    this.#host.writer.add(this);
  }

  /** Whether `resetForMemory` ended the stream. */
  get wasResetForMemory(): boolean {
    return this.#wasResetForMemory;
  }

  resetForMemory(): void {
    this.#wasResetForMemory = true;
    this.#discardPending();
    this.reset(ErrorCode.ENHANCE_YOUR_CALM);
  }

  /** Gives the client credit for bytes that the consumer has taken. */
  consumed(bytes: number): void {
    if (this.#isDropping) return;
    this.#unconsumedBytes -= bytes;
    this.#host.memory.release(bytes);
    this.#grant(bytes);
  }

  /** Whether what arrives is no longer read. */
  get #isDropping(): boolean {
    return this.#isClosed || this.#isFinishing || this.#resetCode !== undefined;
  }

  #grant(bytes: number): void {
    this.#ungrantedBytes += bytes;
    if (this.#peerEnded || this.#ungrantedBytes < this.#host.streamWindowBytes / 2) return;
    this.#creditBytes += this.#ungrantedBytes;
    this.#host.writer.sendControl(
      encodeNumbers(FrameType.WINDOW_UPDATE, 0, this.id, this.#ungrantedBytes),
    );
    this.#ungrantedBytes = 0;
  }

  // What follows is for the connection.

  /** DATA begins. @throws Http2Error that resets the stream */
  onDataStart(length: number): void {
    if (this.#peerEnded) throw new Http2Error(ErrorCode.STREAM_CLOSED);
    this.#creditBytes -= length;
    if (this.#creditBytes < 0) throw new Http2Error(ErrorCode.FLOW_CONTROL_ERROR);
  }

  onDataPiece(piece: Buffer): void {
    if (this.#isDropping) return;
    this.#receivedBytes += piece.length;
    this.#unconsumedBytes += piece.length;
    this.#host.memory.hold(piece.length);
    // To hold the bytes may have reset this stream.
    if (this.#isDropping) return;
    if (this.#handler && !this.#isPaused && this.#held.bytes === 0 && !this.#isDelivering) {
      this.#handler.onData(piece);
    } else {
      this.#held.push(piece);
    }
  }

  /** Padding counts against the windows, and no consumer takes it. */
  onPadding(bytes: number): void {
    this.#grant(bytes);
  }

  /** END_STREAM. @throws Http2Error that resets the stream */
  onPeerEnd(): void {
    if (this.#peerEnded) throw new Http2Error(ErrorCode.STREAM_CLOSED);
    const { contentLength } = this.request;
    if (contentLength !== undefined && contentLength !== this.#receivedBytes) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR);
    }
    this.#peerEnded = true;
    this.#deliver();
    this.#closeIfDone();
  }

  /** RST_STREAM. What arrived before it is delivered first. */
  onPeerReset(code: number): void {
    this.#isPaused = false;
    this.#deliver(true);
    this.close(new Http2Error(code, `the client reset the stream with code ${code}`));
  }

  /** @returns false if the window is now too large */
  addSendWindow(bytes: number): boolean {
    this.sendWindowBytes += bytes;
    if (this.sendWindowBytes > MAX_WINDOW_BYTES) return false;
    if (this.#pending.bytes > 0 && this.sendWindowBytes > 0) this.#host.writer.add(this);
    return true;
  }

  /** Closes the stream without a frame. */
  close(error?: Http2Error, wasReset = false): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closeError = error;
    this.#discardPending();
    this.#discardReceived();
    this.#host.onStreamClosed(this, wasReset);
    this.#handler?.onClose(error);
  }

  /** What `flush` can send now, in bytes of DATA. */
  get sendableBytes(): number {
    return Math.max(0, Math.min(this.#pending.bytes, this.sendWindowBytes));
  }

  /** Whether only the end, the trailers or RST_STREAM are left to send. */
  get endIsDue(): boolean {
    if (this.#isClosed) return false;
    if (this.#resetCode !== undefined) return this.sendableBytes === 0;
    return this.#isEnding && !this.#endSent && this.#pending.bytes === 0;
  }

  /** RST_STREAM follows as soon as no more DATA can be sent. */
  get isResetting(): boolean {
    return this.#resetCode !== undefined;
  }

  /** Moves the next bytes out. @param sent receives the callbacks of writes whose last byte is among them */
  take(bytes: number, write: (piece: Buffer) => void, sent: (() => void)[]): void {
    this.sendWindowBytes -= bytes;
    this.#pending.takeEach(bytes, write);
    this.#host.memory.release(bytes);
    for (const waiting of this.#waiting) waiting.pendingBytes -= bytes;
    while (this.#waiting[0] && this.#waiting[0].pendingBytes <= 0) {
      sent.push(this.#waiting.shift()!.onSent);
    }
  }

  /** Whether the next DATA frame, of `bytes`, can carry END_STREAM. */
  isLast(bytes: number): boolean {
    const isAll = bytes === this.#pending.bytes;
    return isAll && this.#isEnding && !this.#trailers && this.#resetCode === undefined;
  }

  /** @returns the frame that ends this direction */
  endFrame(): Buffer {
    if (this.#resetCode !== undefined) {
      return encodeNumbers(FrameType.RST_STREAM, 0, this.id, this.#resetCode);
    }
    if (!this.#trailers) return encodeFrame(FrameType.DATA, Flag.END_STREAM, this.id, empty);
    const flags = Flag.END_HEADERS | Flag.END_STREAM;
    return encodeFrame(FrameType.HEADERS, flags, this.id, this.#trailers);
  }

  /** The end, or RST_STREAM, has been handed to the socket. */
  onEndSent(): void {
    if (this.#resetCode === undefined) this.#onEndSent();
    else this.close(new Http2Error(this.#resetCode, 'the stream was reset'), true);
  }

  drainIfLow(): void {
    if (!this.#wantsDrain || this.#isClosed || this.#pending.bytes >= LOW_WATER_BYTES) return;
    this.#wantsDrain = false;
    this.#handler?.onDrain();
  }

  #onEndSent(): void {
    this.#isEnding = true;
    this.#endSent = true;
    if (this.#isFinishing && !this.#isClosed) {
      if (this.#peerEnded) return this.close();
      const { NO_ERROR } = ErrorCode;
      this.#host.writer.sendControl(encodeNumbers(FrameType.RST_STREAM, 0, this.id, NO_ERROR));
      return this.close(undefined, true);
    }
    this.#closeIfDone();
  }

  /** Without a consumer, as after a refusal, no one waits for the client's end. */
  #closeIfDone(): void {
    const isRead = this.#endDelivered || (this.#peerEnded && !this.#handler);
    if (this.#endSent && isRead) this.close();
  }

  #deliver(isForced = false): void {
    const handler = this.#handler;
    if (!handler || this.#isDelivering) return;
    this.#isDelivering = true;
    while (this.#held.bytes > 0 && !this.#isClosed && (isForced || !this.#isPaused)) {
      handler.onData(this.#held.shift()!);
    }
    this.#isDelivering = false;
    if (this.#isClosed || this.#isPaused || this.#held.bytes > 0) return;
    if (!this.#peerEnded || this.#endDelivered) return;
    this.#endDelivered = true;
    handler.onEnd();
    this.#closeIfDone();
  }

  #discardPending(): void {
    this.#host.memory.release(this.#pending.bytes);
    this.#pending.clear();
    this.#waiting.length = 0;
    this.#trailers = undefined;
  }

  #discardReceived(): void {
    this.#host.memory.release(this.#unconsumedBytes);
    this.#unconsumedBytes = 0;
    this.#held.clear();
  }
}

const empty = Buffer.alloc(0);
