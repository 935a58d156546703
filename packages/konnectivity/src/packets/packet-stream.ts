import {
  constants,
  type Http2Stream,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { corkUntilTickEnd } from '@fairlead/protocol';
import { errorFromTrailers, GrpcError, grpcTrailers, toGrpcError } from './grpc-status.ts';
import { MessageDecoder } from './message-decoder.ts';
import type { ControlPacket, Packet, PacketType } from './packet.ts';
import { decodePacket, encodeDataHead, encodePacket } from './packet-codec.ts';

/** While this much waits, `sendData` returns false. */
const highWaterBytes = 256 * 1024;

/** Payload of a DATA packet, at most. Peers accept messages of 4 MiB. */
const maxDataBytes = 1024 * 1024;

/**
 * Control packets that may wait for a peer that does not read. Most of them answer a packet of the peer, which could
 * otherwise fill the queue without limit.
 */
const maxWaitingPackets = 65_536;

/** How long trailers may take to leave before the stream is reset. */
const trailersMs = 1_000;

/** The owner of a packet stream. No method is called before `start` or after `onClose`. */
export interface PacketStreamHandler {
  onPacket(packet: Packet): void;
  /** Any bytes arrived, even within a packet. */
  onBytes?(): void;
  /** There is room again after `sendData` returned false. */
  onDrain(): void;
  /** The peer sends no more packets. */
  onEnd(): void;
  /** The call has ended. Called exactly once, and last. There is no error if its status is OK. */
  onClose(error?: GrpcError): void;
}

/** Is notified of every packet, for metrics. */
export interface PacketObserver {
  onPacket(direction: PacketDirection, type: PacketType): void;
  /** The call failed. */
  onError(direction: PacketDirection, error: GrpcError): void;
}

export type PacketDirection = 'received' | 'sent';

/**
 * Either end of a gRPC call with Packets in both directions, on an HTTP/2 stream that no other code reads or writes. It
 * knows no dials and no connections.
 *
 * On the server's side, the caller has sent the response headers with `waitForTrailers`.
 */
export class PacketStream {
  readonly #stream: Http2Stream;
  readonly #observer: PacketObserver;
  readonly #isServer: boolean;
  readonly #decoder = new MessageDecoder((message) => this.#onMessage(message));
  #handler: PacketStreamHandler | undefined;
  /** This side was ended or reset and sends nothing more. */
  #ending = false;
  /** Why the call ended, if this side knows. */
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
    // 'close' follows and is handled.
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

  /** Sent bytes that have not left this process. */
  get writableLength(): number {
    return this.#stream.writableLength;
  }

  /** Received bytes that were not delivered, because a message is incomplete or the stream is paused. */
  get undeliveredBytes(): number {
    return this.#decoder.heldBytes + this.#stream.readableLength;
  }

  /** A longer message ends the call. The default is that of gRPC libraries. */
  set maxMessageBytes(bytes: number) {
    this.#decoder.maxMessageBytes = bytes;
  }

  get hasRoom(): boolean {
    return this.#stream.writableLength < highWaterBytes;
  }

  /** Starts delivery. Called once. */
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

  /** Stops delivery after the current chunk. HTTP/2's window then stops the peer. */
  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Sends a packet. All packets of one tick of the event loop leave together. */
  send(packet: ControlPacket): void {
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
   * Sends bytes of a connection without copying them. The buffer belongs to the stream from here on.
   * @returns false if the caller must wait for `onDrain`
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

  /** Ends the call in order, after all sent packets. On the server's side, the trailers carry the error. */
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
    corkUntilTickEnd(this.#stream);
    this.#sentBytes += bytes.length;
    this.#stream.write(bytes, onLeft);
  }

  #sendTrailers(): void {
    const stream = this.#stream as ServerHttp2Stream;
    stream.sendTrailers(grpcTrailers(this.#error));
    // The answer is complete, so what the peer still sends is dropped (RFC 9113 section 8.1). Peers end their side at
    // the trailers. An immediate reset would overtake the trailers in this process's queue.
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
    // The type is of a later version.
    if (!packet) return;
    this.#observer.onPacket('received', packet.type);
    this.#handler?.onPacket(packet);
  }

  /** The peer sent bytes that cannot be decoded. */
  #fail(error: GrpcError): void {
    if (this.#isServer) this.end(error);
    else this.destroy(error);
    this.#error ??= error;
  }

  #onEnd(): void {
    // A stream that was reset still emits 'end', and then 'close'.
    if (this.#wasReset) return;
    if (this.#decoder.isInMessage) {
      this.#fail(new GrpcError('INTERNAL', 'the call ended within a message'));
    }
    // A server that has ended its side reads nothing more.
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
