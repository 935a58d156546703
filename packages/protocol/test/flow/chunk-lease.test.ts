import { ChunkQueue } from '@fairlead/protocol';
import { leaseChunk, releaseChunk, shareChunk } from '@fairlead/protocol/internal';
import t from 'tap';

/** Node 20 cannot release the memory of a buffer, so leases have no effect there. */
const skip = 'transfer' in ArrayBuffer.prototype ? false : 'this Node has no ArrayBuffer.transfer';

const chunkOf = (bytes: number) => Buffer.alloc(bytes, 'x');

t.test('the last release frees the memory', { skip }, async (t) => {
  const chunk = chunkOf(16_384);
  leaseChunk(chunk);
  const pieces = [chunk.subarray(8, 4_000), chunk.subarray(4_008)];
  for (const piece of pieces) shareChunk(chunk, piece);
  releaseChunk(chunk);
  releaseChunk(pieces[1]!);
  t.equal(pieces[0]!.length, 3_992, 'one piece is still needed');
  releaseChunk(pieces[0]!);
  t.strictSame([chunk.length, pieces[0]!.length, pieces[1]!.length], [0, 0, 0]);
});

t.test('a chunk that is shared as a whole is freed after both releases', { skip }, async (t) => {
  const chunk = chunkOf(16_384);
  leaseChunk(chunk);
  shareChunk(chunk, chunk);
  releaseChunk(chunk);
  t.equal(chunk.length, 16_384);
  releaseChunk(chunk);
  t.equal(chunk.length, 0);
});

t.test('a queue releases a chunk when all of it is copied', { skip }, async (t) => {
  const queue = new ChunkQueue();
  const chunk = chunkOf(16_384);
  leaseChunk(chunk);
  queue.push(chunk);
  const copy = Buffer.alloc(16_384);
  queue.takeInto(copy, 0, 16_000);
  t.equal(chunk.length, 16_384, 'a part is still queued');
  queue.takeInto(copy, 16_000, 384);
  t.equal(chunk.length, 0);
  t.ok(copy.equals(chunkOf(16_384)));
});

t.test(
  'parts of larger buffers, small chunks and chunks without a lease are not freed',
  async (t) => {
    const memory = chunkOf(65_536);
    const [part, small, unleased] = [
      memory.subarray(16_384, 32_768),
      chunkOf(100),
      chunkOf(16_384),
    ];
    const piece = unleased.subarray(8);
    for (const chunk of [part, small]) leaseChunk(chunk);
    shareChunk(unleased, piece);
    for (const chunk of [part, small, unleased, piece]) releaseChunk(chunk);
    t.strictSame(
      [part, small, unleased, piece].map(({ length }) => length),
      [16_384, 100, 16_384, 16_376],
    );
  },
);
