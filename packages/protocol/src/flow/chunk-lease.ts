/**
 * Returns the memory of chunks as soon as they are used up, if V8 supports that. Node allocates memory for every
 * read. Without this, the chunks of bulk reach V8's limit for memory outside its heap several times a second, and since
 * V8 14 the whole heap is marked each time.
 *
 * A lease begins only where a chunk is known to have no other user: at a socket's 'data' event, but not at an
 * HTTP/2 stream's. The garbage collector still frees chunks that are never released.
 */

/** Smaller chunks are not worth a lease. */
const MIN_BYTES = 4_096;

const kLease = Symbol('lease');
type LeasedChunk = Buffer & { [kLease]?: Lease | undefined };

interface Lease {
  /** `transfer` is ES2024 and absent from Node 20. */
  readonly memory: ArrayBufferLike & { transfer?(bytes: number): unknown };
  /** How many chunks, and pieces of chunks, are still needed. */
  uses: number;
}

const canTransfer = 'transfer' in ArrayBuffer.prototype;

/** Begins a lease of a chunk that only the caller uses. The lease ends with `releaseChunk`. */
export function leaseChunk(chunk: Buffer): void {
  if (!canTransfer || chunk.length < MIN_BYTES) return;
  const memory: Lease['memory'] = chunk.buffer;
  // A part of a larger buffer shares its memory with other chunks.
  if (chunk.length !== memory.byteLength) return;
  (chunk as LeasedChunk)[kLease] = { memory, uses: 1 };
}

/** Extends the lease to a piece of the chunk, or to the chunk once more. Each must be released as well. */
export function shareChunk(chunk: Buffer, piece: Buffer): void {
  const lease = (chunk as LeasedChunk)[kLease];
  if (!lease) return;
  lease.uses++;
  (piece as LeasedChunk)[kLease] = lease;
}

/** Ends one use of the chunk or piece. The caller must not read it from here on: it may be empty. */
export function releaseChunk(chunk: Buffer): void {
  const lease = (chunk as LeasedChunk)[kLease];
  if (!lease) return;
  lease.uses--;
  if (lease.uses === 0) lease.memory.transfer?.(0);
}
