/**
 * Gives the memory of chunks back as soon as they are used up, where V8 can be told so. Node allocates
 * memory for every read; left to the garbage collector, the chunks of bulk reach V8's limit for memory outside
 * its heap several times a second, and since V8 14 each time the whole heap is marked.
 *
 * A lease begins where a chunk is known to have no other user: behind a socket's 'data', never an HTTP/2 stream's.
 * What nobody releases is the garbage collector's, as ever.
 */

/** Less is not worth it. */
const LEAST_BYTES = 4_096;

const kLease = Symbol('lease');
type LeasedChunk = Buffer & { [kLease]?: Lease | undefined };

interface Lease {
  readonly memory: TransferableMemory;
  /** Chunks and pieces of them that are still needed. */
  uses: number;
}

/** ES2024; absent from Node 20. */
type TransferableMemory = ArrayBufferLike & { transfer?(bytes: number): unknown };

const canGiveBack = 'transfer' in ArrayBuffer.prototype;

/** Begins a lease of a chunk that the caller alone has; it ends with `releaseChunk`. */
export function leaseChunk(chunk: Buffer): void {
  if (!canGiveBack || chunk.length < LEAST_BYTES) return;
  const memory: TransferableMemory = chunk.buffer;
  // A part of some larger memory has neighbours.
  if (chunk.length !== memory.byteLength) return;
  (chunk as LeasedChunk)[kLease] = { memory, uses: 1 };
}

/** Says that a piece of the chunk, or the chunk once more, is needed until it is released as well. */
export function shareChunk(chunk: Buffer, piece: Buffer): void {
  const lease = (chunk as LeasedChunk)[kLease];
  if (!lease) return;
  lease.uses++;
  (piece as LeasedChunk)[kLease] = lease;
}

/** Says that the chunk or piece is not needed any more: it may be empty from here on. */
export function releaseChunk(chunk: Buffer): void {
  const lease = (chunk as LeasedChunk)[kLease];
  if (!lease) return;
  lease.uses--;
  if (lease.uses === 0) lease.memory.transfer?.(0);
}
