/** So many chunks in a row become one if they are small. */
const groupLength = 64;
/** Mean length below which chunks of a group count as small. */
const smallBytes = 512;

/**
 * Chunks that wait, in order, small ones gathered: an answer of nine bytes to each PING of a peer that does not
 * read must not hold some hundred bytes for its object and its place in a queue.
 *
 * Not a ChunkQueue: that begins a block of 16 KiB for each small chunk behind a large one, as every frame's header is.
 */
export class GatheredChunks {
  #chunks: Buffer[] = [];
  /** Those of `#chunks` behind the last complete group. */
  #groupFrom = 0;
  #groupBytes = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    this.#groupBytes += chunk.length;
    if (this.#chunks.length - this.#groupFrom < groupLength) return;
    if (this.#groupBytes < groupLength * smallBytes) {
      this.#chunks.push(Buffer.concat(this.#chunks.splice(this.#groupFrom), this.#groupBytes));
    }
    this.#groupFrom = this.#chunks.length;
    this.#groupBytes = 0;
  }

  /** Empties it. */
  takeAll(): Buffer[] {
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#groupFrom = this.#groupBytes = this.#bytes = 0;
    return chunks;
  }
}
