import { ChunkQueue } from '@fairlead/protocol';
import { GrpcError } from './grpc-status.ts';

/** The header of each message: a compression flag and the length, big-endian. */
export const MESSAGE_HEADER_BYTES = 5;

/** The default limit of gRPC libraries, and some room for a packet's fields around 4 MiB of data. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024 + 1024;

/**
 * Splits a body into gRPC's length-prefixed messages. Chunks may be cut anywhere. A message within one chunk is a view
 * of the chunk. Only a message that spans chunks is copied.
 */
export class MessageDecoder {
  /** A longer message is refused at its header. */
  maxMessageBytes = MAX_MESSAGE_BYTES;
  readonly #onMessage: (message: Buffer) => void;
  /** The received part of an incomplete message. */
  readonly #parts = new ChunkQueue();
  /** How many bytes `#parts` needs: a header, or a header and its message. */
  #wantedBytes = MESSAGE_HEADER_BYTES;

  constructor(onMessage: (message: Buffer) => void) {
    this.#onMessage = onMessage;
  }

  get isInMessage(): boolean {
    return this.#parts.bytes > 0;
  }

  get heldBytes(): number {
    return this.#parts.bytes;
  }

  /**
   * Decodes a chunk and calls `onMessage` for each complete message.
   * @throws GrpcError `RESOURCE_EXHAUSTED` for a message that is too long, `UNIMPLEMENTED` for a compressed one,
   *   `INTERNAL` for an unknown flag
   */
  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      rest = this.#parts.bytes > 0 ? this.#complete(rest) : this.#begin(rest);
    }
  }

  /** @returns the rest after the first message; empty if the message is incomplete */
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
    if (flag !== 0) throw new GrpcError('INTERNAL', `unknown flag ${flag} of a gRPC message`);
    const bytes = header.readUInt32BE(1);
    if (bytes > this.maxMessageBytes) {
      throw new GrpcError('RESOURCE_EXHAUSTED', `a message of ${bytes} bytes is too long`);
    }
    return bytes;
  }
}
