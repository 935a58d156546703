import {
  constants,
  type Http2Stream,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { corkUntilTurnEnd } from '@fairlead/protocol/internal';
import { decodePacket } from './decode-packet.ts';
import { encodeDataHead, encodePacket } from './encode-packet.ts';
import { errorFromTrailers, GrpcError, grpcTrailers, toGrpcError } from './grpc-status.ts';
import { MessageDecoder } from './message-decoder.ts';
import type { Packet, PacketType } from './packet.ts';

/** `sendData` returns false from here on, until all has left. */
const highWaterBytes = 256 * 1024;

/** A DATA packet carries at most this much; peers take messages of 4 MiB. */
const maxDataBytes = 1024 * 1024;

/**
 * Packets other than DATA that may wait for a peer that does not read. Most answer one of the peer's, so that
 * it could make us queue them without end.
 */
const maxWaitingPackets = 65_536;

/** How long trailers have to leave before the stream is reset behind them. */
const trailersMs = 1_000;

/** What a packet stream reports. No method is called before `start`, and none after `onClose`. */
export interface PacketStreamHandler {
  onPacket(packet: Packet): void;
  /** Any bytes, also within a packet: a sign of life. */
  onBytes?(): void;
  /** There is room again after `sendData` returned false. */
  onDrain(): void;
  /** The peer sends no more packets. */
  onEnd(): void;
  /** The call is over, exactly once and last; without an error it ended well. */
  onClose(error?: GrpcError): void;
}

/** Told of every packet, for metrics. */
export interface PacketObserver {
  onPacket(direction: PacketDirection, type: PacketType): void;
  /** The call failed. */
  onError(direction: PacketDirection, error: GrpcError): void;
}

export type PacketDirection = 'received' | 'sent';

/**
 * Either end of a gRPC call whose messages are Packets both ways, on an HTTP/2 stream of which it is
 * the only reader and writer. It knows no dials and no connections.
 *
 * On the server's side the head of the answer was sent with `waitForTrailers`.
 */
export class PacketStream {
  readonly #stream: Http2Stream;
  readonly #observer: PacketObserver;
  readonly #isServer: boolean;
  readonly #decoder = new MessageDecoder((message) => this.#onMessage(message));
  #handler: PacketStreamHandler | undefined;
  /** Our side was ended or reset: nothing more is sent. */
  #ending = false;
  /** Why it ended, if this side knows. */
  #error: GrpcError | undefined;
  #trailers: IncomingHttpHeaders | undefined;
  #receivedBytes = 0;
  #sentBytes = 0;
  #waitingPackets = 0;
  readonly #onPacketLeft = () => {
    this.#waitingPackets--;
  };

  constructor(stream: Http2Stream, role: 'server' | 'client', observer: PacketObserver) {
    this.#stream = stream;
    this.#observer = observer;
    this.#isServer = role === 'server';
    // 'close' follows, and says the same.
    stream.on('error', () => {});
    if (role === 'server') {
      stream.once('wantTrailers', () => this.#sendTrailers());
    } else {
      stream.once('trailers', (trailers: IncomingHttpHeaders) => {
        this.#trailers = trailers;
      });
    }
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Bytes that were sent and have not left this process yet. */
  get writableLength(): number {
    return this.#stream.writableLength;
  }

  /** Bytes of the peer that were received and not delivered: of half a message, or while it is paused. */
  get undeliveredBytes(): number {
    return this.#decoder.heldBytes + this.#stream.readableLength;
  }

  /** Messages that are longer end the call; what gRPC libraries take by default if not set. */
  set maxMessageBytes(bytes: number) {
    this.#decoder.maxMessageBytes = bytes;
  }

  /** Whether `sendData` has room. */
  get hasRoom(): boolean {
    return this.#stream.writableLength < highWaterBytes;
  }

  /** Starts delivery; called once. */
  start(handler: PacketStreamHandler): void {
    const stream = this.#stream;
    this.#handler = handler;
    if (stream.closed && stream.destroyed) {
      process.nextTick(() => this.#onClose());
      return;
    }
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.on('drain', () => this.#handler?.onDrain());
    stream.on('end', () => this.#onEnd());
    stream.on('close', () => this.#onClose());
  }

  /** Stops delivery, after the chunk at hand; HTTP/2's window makes the peer stop in turn. */
  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Sends a packet. What is sent in one turn of the event loop leaves together. */
  send(packet: Exclude<Packet, { readonly type: 'DATA' }>): void {
    if (this.#isOver) return;
    if (this.#waitingPackets >= maxWaitingPackets) {
      const text = `the peer does not read: ${maxWaitingPackets} packets wait for it`;
      this.destroy(new GrpcError('RESOURCE_EXHAUSTED', text));
      return;
    }
    this.#waitingPackets++;
    this.#write(encodePacket(packet), this.#onPacketLeft);
    this.#observer.onPacket('sent', packet.type);
  }

  /**
   * Sends bytes of a connection, without a copy: the buffer belongs to the stream from here on.
   * @returns false: wait for `onDrain`
   */
  sendData(connectId: bigint, data: Buffer): boolean {
    if (this.#isOver) return true;
    for (let offset = 0; offset < data.length; offset += maxDataBytes) {
      const piece =
        data.length > maxDataBytes ? data.subarray(offset, offset + maxDataBytes) : data;
      this.#write(encodeDataHead(connectId, piece.length));
      this.#write(piece);
      this.#observer.onPacket('sent', 'DATA');
    }
    return this.hasRoom;
  }

  /** Ends the call in order after all that was sent; the server's side tells a reason if there is one. */
  end(error?: GrpcError): void {
    if (this.#isOver) return;
    this.#ending = true;
    this.#error ??= error;
    this.#stream.end();
  }

  /** Ends the call at once. */
  destroy(error?: GrpcError): void {
    if (this.#stream.destroyed) return;
    this.#ending = true;
    this.#error ??= error;
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  get #isOver(): boolean {
    return this.#ending || this.#stream.destroyed || this.#stream.closed;
  }

  #write(bytes: Buffer, onLeft?: () => void): void {
    corkUntilTurnEnd(this.#stream);
    this.#sentBytes += bytes.length;
    this.#stream.write(bytes, onLeft);
  }

  #sendTrailers(): void {
    const stream = this.#stream as ServerHttp2Stream;
    stream.sendTrailers(grpcTrailers(this.#error));
    // The answer is complete: whatever the peer still sends, nobody wants it (RFC 9113 section 8.1). Peers
    // end their side at the trailers; a reset at once would overtake them in our own queue.
    stream.resume();
    const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), trailersMs);
    stream.once('close', () => clearTimeout(timer));
  }

  #onData(chunk: Buffer): void {
    this.#receivedBytes += chunk.length;
    this.#handler?.onBytes?.();
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      this.#fail(toGrpcError(error as Error));
    }
  }

  #onMessage(message: Buffer): void {
    if (this.#error) return;
    const packet = decodePacket(message);
    // A type of a later version.
    if (!packet) return;
    this.#observer.onPacket('received', packet.type);
    this.#handler?.onPacket(packet);
  }

  /** The peer sent what cannot be understood. */
  #fail(error: GrpcError): void {
    if (this.#isServer) this.end(error);
    else this.destroy(error);
    this.#error ??= error;
  }

  #onEnd(): void {
    // A stream that was reset emits 'end' as if all were well; 'close' follows.
    if (this.#wasReset) return;
    if (this.#decoder.isInMessage) {
      this.#fail(new GrpcError('INTERNAL', 'the call ended within a message'));
    }
    // A server that has ended takes nothing any more.
    if (!this.#isServer) this.end();
    this.#handler?.onEnd();
  }

  #onClose(): void {
    const handler = this.#handler;
    this.#handler = undefined;
    const error = this.#error ?? this.#causeOfClose();
    if (error) this.#observer.onError('received', error);
    handler?.onClose(error);
  }

  #causeOfClose(): GrpcError | undefined {
    if (this.#trailers) return errorFromTrailers(this.#trailers);
    if (this.#wasReset && !(this.#isServer && this.#ending)) {
      const code = this.#stream.rstCode;
      return this.#isServer && code === constants.NGHTTP2_CANCEL
        ? new GrpcError('CANCELLED', 'the peer cancelled the call')
        : new GrpcError('UNAVAILABLE', `the HTTP/2 stream was reset with code ${code}`);
    }
    if (this.#isServer || this.#ending) return undefined;
    return new GrpcError('UNAVAILABLE', 'the connection was closed');
  }

  get #wasReset(): boolean {
    const { aborted, rstCode } = this.#stream;
    return aborted || (rstCode !== undefined && rstCode !== constants.NGHTTP2_NO_ERROR);
  }
}
