import { releaseChunk } from './chunk-lease.ts';

/** A chunk of less than this is copied to those before it, if it has to wait behind one. */
const SMALL_BYTES = 4_096;
/** Small chunks are gathered in blocks of this size. */
const BLOCK_BYTES = 16_384;

/**
 * Bytes that wait, in order. A peer that sends them one at a time must not make us hold an object of
 * some hundred bytes, or a whole read of the network, for each: so what is small joins what already
 * waits, and the memory held is at most about four times the bytes that are counted.
 */
export class ChunkQueue {
  #chunks: Buffer[] = [];
  /** What is taken of the first chunk. */
  #offset = 0;
  #bytes = 0;
  /** Ours, and the last chunk begins in it; undefined when the last chunk is somebody else's. */
  #block: Buffer | undefined;
  /** Where the last chunk begins and ends in the block. */
  #from = 0;
  #to = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** How many buffers hold them. */
  get length(): number {
    return this.#chunks.length;
  }

  /** Takes a chunk, which belongs to the queue from here on. */
  push(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (chunk.length >= SMALL_BYTES || this.#chunks.length === 0) {
      this.#chunks.push(chunk);
      this.#block = undefined;
    } else if (this.#block && this.#to + chunk.length <= BLOCK_BYTES) {
      this.#append(this.#block, chunk);
      this.#chunks[this.#chunks.length - 1] = this.#block.subarray(this.#from, this.#to);
    } else {
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.#from = this.#to = 0;
      this.#append(this.#block, chunk);
      this.#chunks.push(this.#block.subarray(0, this.#to));
    }
  }

  /** Copies the next bytes into the buffer from `at` on; the caller knows that there are as many. */
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
    this.#bytes -= bytes;
  }

  /** Empties the queue. @returns what waited, in order; of a queue that `takeInto` was not used on */
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

  #append(block: Buffer, chunk: Buffer): void {
    chunk.copy(block, this.#to);
    this.#to += chunk.length;
  }
}
