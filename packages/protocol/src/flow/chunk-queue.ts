import { releaseChunk } from './chunk-lease.ts';

/** A smaller chunk that waits behind another is copied into a block. */
const SMALL_BYTES = 4_096;
/** A block of small chunks grows to this size. */
const MAX_BLOCK_BYTES = 16_384;
/** The smallest block. Mostly a few frames wait, and large blocks for them keep the garbage collector busy. */
const MIN_BLOCK_BYTES = 512;

/**
 * Bytes that wait, in order. A peer that sends single bytes must not make this process hold an object of some hundred
 * bytes, or a whole network read, for each of them. So small chunks are copied into blocks, and the memory held is at
 * most about twice the counted bytes.
 */
export class ChunkQueue {
  #chunks: Buffer[] = [];
  /** How much of the first chunk was taken. */
  #offset = 0;
  #bytes = 0;
  /** The block that holds the last chunk; undefined if the last chunk was pushed as it is. */
  #block: Buffer | undefined;
  /** End of the last chunk, which fills the block from its start. */
  #to = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** How many buffers hold the bytes. */
  get length(): number {
    return this.#chunks.length;
  }

  /** Adds a chunk. It belongs to the queue from here on. */
  push(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (chunk.length >= SMALL_BYTES || this.#chunks.length === 0) {
      this.#chunks.push(chunk);
      this.#block = undefined;
      return;
    }
    if (!this.#block || this.#to + chunk.length > MAX_BLOCK_BYTES) {
      this.#block = Buffer.allocUnsafeSlow(MIN_BLOCK_BYTES);
      this.#to = 0;
      this.#chunks.push(this.#block);
    }
    const block = this.#withRoom(this.#block, chunk.length);
    chunk.copy(block, this.#to);
    this.#to += chunk.length;
    this.#block = block;
    this.#chunks[this.#chunks.length - 1] = block.subarray(0, this.#to);
  }

  /** Copies the next bytes to the buffer at `at`. The caller asks for `bytes` of the queue at most. */
  takeInto(buffer: Buffer, at: number, bytes: number): void {
    const end = at + bytes;
    for (let to = at; to < end; ) {
      const chunk = this.#chunks[0]!;
      const copied = chunk.copy(buffer, to, this.#offset, this.#offset + end - to);
      to += copied;
      this.#offset += copied;
      if (this.#offset < chunk.length) break;
      this.#chunks.shift();
      this.#offset = 0;
      releaseChunk(chunk);
    }
    if (this.#chunks.length === 0) this.#block = undefined;
    this.#bytes -= bytes;
  }

  /** Removes the first chunk. */
  shift(): Buffer | undefined {
    const chunk = this.#chunks.shift();
    if (!chunk) return undefined;
    if (this.#chunks.length === 0) this.#block = undefined;
    const rest = this.#offset === 0 ? chunk : chunk.subarray(this.#offset);
    this.#offset = 0;
    this.#bytes -= rest.length;
    return rest;
  }

  /** Removes the next bytes without copying them. The caller asks for `bytes` of the queue at most. */
  takeEach(bytes: number, take: (piece: Buffer) => void): void {
    for (let missing = bytes; missing > 0; ) {
      const chunk = this.#chunks[0]!;
      const left = chunk.length - this.#offset;
      if (left <= missing) {
        missing -= left;
        take(this.shift()!);
      } else {
        take(chunk.subarray(this.#offset, this.#offset + missing));
        this.#offset += missing;
        this.#bytes -= missing;
        missing = 0;
      }
    }
  }

  /** Empties the queue, on which `takeInto` must not have been used. @returns its chunks, in order */
  takeAll(): Buffer[] {
    const chunks = this.#chunks;
    this.clear();
    return chunks;
  }

  clear(): void {
    this.#chunks = [];
    this.#offset = 0;
    this.#bytes = 0;
    this.#block = undefined;
  }

  /** @returns the block, or a larger one with the same content */
  #withRoom(block: Buffer, bytes: number): Buffer {
    const neededBytes = this.#to + bytes;
    if (neededBytes <= block.length) return block;
    const larger = Buffer.allocUnsafeSlow(Math.min(2 * neededBytes, MAX_BLOCK_BYTES));
    block.copy(larger, 0, 0, this.#to);
    return larger;
  }
}
