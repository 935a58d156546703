import { ChunkQueue } from '@fairlead/protocol/internal';
import { GrpcError } from './grpc-status.ts';

/** A flag for compression and the length, big-endian, before each message. */
export const MESSAGE_HEADER_BYTES = 5;

/** What gRPC libraries take by default, and some room for a packet's fields around 4 MiB of data. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024 + 1024;

/**
 * Cuts a body into gRPC's length-prefixed messages, wherever its chunks were cut. A message within one
 * chunk is a view of it; only one that spans chunks is copied together.
 */
export class MessageDecoder {
  /** Longer messages are refused at their header. */
  maxMessageBytes = MAX_MESSAGE_BYTES;
  readonly #onMessage: (message: Buffer) => void;
  /** The beginning of a message that is not complete. */
  readonly #parts = new ChunkQueue();
  /** How many bytes it takes to know more: a header, or the whole message with it. */
  #wantedBytes = MESSAGE_HEADER_BYTES;

  constructor(onMessage: (message: Buffer) => void) {
    this.#onMessage = onMessage;
  }

  /** Whether a message has begun and not ended. */
  get isInMessage(): boolean {
    return this.#parts.bytes > 0;
  }

  /** What it holds of a message that is not complete. */
  get heldBytes(): number {
    return this.#parts.bytes;
  }

  /**
   * @throws GrpcError `RESOURCE_EXHAUSTED` for a message that is too long, `UNIMPLEMENTED` for a compressed
   *   one, `INTERNAL` for a flag that means nothing
   */
  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      rest = this.#parts.bytes > 0 ? this.#complete(rest) : this.#begin(rest);
    }
  }

  /** @returns what is behind the first message, or nothing when that one is not complete */
  #begin(chunk: Buffer): Buffer {
    if (chunk.length < MESSAGE_HEADER_BYTES) return this.#keep(chunk, MESSAGE_HEADER_BYTES);
    const end = MESSAGE_HEADER_BYTES + this.#payloadBytes(chunk);
    if (chunk.length < end) return this.#keep(chunk, end);
    this.#onMessage(chunk.subarray(MESSAGE_HEADER_BYTES, end));
    return chunk.subarray(end);
  }

  #complete(chunk: Buffer): Buffer {
    const missing = this.#wantedBytes - this.#parts.bytes;
    if (chunk.length < missing) return this.#keep(chunk, this.#wantedBytes);
    const whole = Buffer.concat([...this.#parts.takeAll(), chunk.subarray(0, missing)]);
    if (whole.length === MESSAGE_HEADER_BYTES) {
      const end = MESSAGE_HEADER_BYTES + this.#payloadBytes(whole);
      if (end > MESSAGE_HEADER_BYTES) {
        this.#keep(whole, end);
        return chunk.subarray(missing);
      }
    }
    this.#onMessage(whole.subarray(MESSAGE_HEADER_BYTES));
    return chunk.subarray(missing);
  }

  #keep(part: Buffer, wantedBytes: number): Buffer {
    this.#parts.push(part);
    this.#wantedBytes = wantedBytes;
    return part.subarray(part.length);
  }

  #payloadBytes(header: Buffer): number {
    const flag = header[0];
    if (flag === 1) throw new GrpcError('UNIMPLEMENTED', 'compressed messages are not accepted');
    if (flag !== 0) throw new GrpcError('INTERNAL', `${flag} is no flag of a gRPC message`);
    const bytes = header.readUInt32BE(1);
    if (bytes > this.maxMessageBytes) {
      throw new GrpcError('RESOURCE_EXHAUSTED', `a message of ${bytes} bytes is too long`);
    }
    return bytes;
  }
}
