import { createCipheriv, createHash } from 'node:crypto';
import { Readable } from 'node:stream';

const blockBytes = 1 << 20;
/** Odd, so that the rotation visits every offset before it repeats. */
const rotationStep = 65_537;
const doubledBlocks = new Map<string, Buffer>();
const digests = new Map<string, string>();

/**
 * A pseudo-random block twice in a row: any 1 MiB window of it is a rotation of the block, which
 * makes each MiB of the data different without generating or copying anything.
 */
function doubledBlock(seed: string): Buffer {
  let doubled = doubledBlocks.get(seed);
  if (!doubled) {
    const key = createHash('sha256').update(seed).digest().subarray(0, 16);
    const block = createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(
      Buffer.alloc(blockBytes),
    );
    doubled = Buffer.concat([block, block]);
    doubledBlocks.set(seed, doubled);
  }
  return doubled;
}

/**
 * The first `totalBytes` bytes of the data that belongs to `seed`, in chunks of at most
 * `chunkBytes`. Chunks are views of shared memory, so callers must not change them.
 */
export function* seededChunks(
  seed: string,
  totalBytes: number,
  chunkBytes = 65_536,
): Generator<Buffer, void, void> {
  const doubled = doubledBlock(seed);
  let position = 0;
  while (position < totalBytes) {
    const block = Math.floor(position / blockBytes);
    const withinBlock = position % blockBytes;
    const start = ((block * rotationStep) % blockBytes) + withinBlock;
    const length = Math.min(chunkBytes, blockBytes - withinBlock, totalBytes - position);
    yield doubled.subarray(start, start + length);
    position += length;
  }
}

/** The same bytes as a stream, to be piped into a socket. */
export function seededReadable(seed: string, totalBytes: number, chunkBytes = 65_536): Readable {
  const chunks = seededChunks(seed, totalBytes, chunkBytes);
  return new Readable({
    read() {
      const { value } = chunks.next();
      this.push(value ?? null);
    },
  });
}

/** The same bytes in one buffer of its own, for small amounts. */
export function seededBuffer(seed: string, totalBytes: number): Buffer {
  return Buffer.concat([...seededChunks(seed, totalBytes)]);
}

/** SHA-256 of the same bytes, in hex. Computed once per seed and length. */
export function seededSha256(seed: string, totalBytes: number): string {
  const key = `${totalBytes} ${seed}`;
  let digest = digests.get(key);
  if (digest === undefined) {
    const hash = createHash('sha256');
    for (const chunk of seededChunks(seed, totalBytes, blockBytes)) hash.update(chunk);
    digest = hash.digest('hex');
    digests.set(key, digest);
  }
  return digest;
}
