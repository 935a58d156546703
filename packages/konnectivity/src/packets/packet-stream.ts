import type { Call } from './call.ts';
import { GrpcError, toGrpcError } from './grpc-status.ts';
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

/** Either end of a gRPC call with Packets in both directions. It knows no dials and no connections. */
export class PacketStream {
  readonly #call: Call;
  readonly #observer: PacketObserver;
  readonly #decoder = new MessageDecoder((message) => this.#onMessage(message));
  #handler: PacketStreamHandler | undefined;
  /** This side was ended or reset and sends nothing more. */
  #ending = false;
  /** Why the call ended, if this side knows. */
  #error: GrpcError | undefined;
  #receivedBytes = 0;
  #sentBytes = 0;
  #waitingPackets = 0;
  readonly #onPacketLeft = () => {
    this.#waitingPackets--;
  };

  constructor(call: Call, observer: PacketObserver) {
    this.#call = call;
    this.#observer = observer;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Sent bytes that have not left this process. */
  get writableLength(): number {
    return this.#call.pendingBytes;
  }

  /** Received bytes of a message that is incomplete. */
  get incompleteBytes(): number {
    return this.#decoder.heldBytes;
  }

  /** A longer message ends the call. The default is that of gRPC libraries. */
  set maxMessageBytes(bytes: number) {
    this.#decoder.maxMessageBytes = bytes;
  }

  get hasRoom(): boolean {
    return this.#call.pendingBytes < highWaterBytes;
  }

  /** Starts delivery. Called once. */
  start(handler: PacketStreamHandler): void {
    this.#handler = handler;
    this.#call.attach({
      onData: (chunk) => this.#onData(chunk),
      onDrain: () => this.#handler?.onDrain(),
      onEnd: () => this.#onEnd(),
      onClose: (error) => this.#onClose(error),
    });
  }

  /** Stops delivery after the current chunk. HTTP/2's window then stops the peer. */
  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
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
    this.#call.end(this.#error);
  }

  /** Ends the call at once. */
  destroy(error?: GrpcError): void {
    if (this.#call.isClosed) return;
    this.#ending = true;
    this.#error ??= error;
    this.#call.cancel();
  }

  get #isOver(): boolean {
    return this.#ending || this.#call.isClosed;
  }

  #write(bytes: Buffer, onLeft?: () => void): void {
    this.#sentBytes += bytes.length;
    this.#call.write(bytes, onLeft);
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
    if (this.#call.isServer) this.end(error);
    else this.destroy(error);
    this.#error ??= error;
  }

  #onEnd(): void {
    if (this.#decoder.isInMessage) {
      this.#fail(new GrpcError('INTERNAL', 'the call ended within a message'));
    }
    if (!this.#call.isServer) this.end();
    this.#handler?.onEnd();
  }

  #onClose(cause: GrpcError | undefined): void {
    const handler = this.#handler;
    this.#handler = undefined;
    const error = this.#error ?? cause;
    if (error) this.#observer.onError('received', error);
    handler?.onClose(error);
  }
}
