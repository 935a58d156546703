import { ChunkQueue } from '@fairlead/protocol';
import fc from 'fast-check';
import t from 'tap';

const patterned = (length: number, from: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, index) => (from + index) % 251));

t.test('the queue returns the same bytes for all sizes of chunks', async () => {
  const sizes = fc.array(
    fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 9_000 })),
  );
  fc.assert(
    fc.property(sizes, fc.array(fc.integer({ min: 1, max: 20_000 })), (pushed, taken) => {
      const queue = new ChunkQueue();
      let sent = 0;
      let got = 0;
      const takes = [...taken];
      const take = (bytes: number) => {
        const buffer = Buffer.alloc(bytes + 3, 255);
        queue.takeInto(buffer, 1, bytes);
        const around = [buffer[0], buffer.at(-2), buffer.at(-1)];
        const same = buffer.subarray(1, -2).equals(patterned(bytes, got));
        got += bytes;
        return same && around.every((byte) => byte === 255) && queue.bytes === sent - got;
      };
      for (const size of pushed) {
        queue.push(patterned(size, sent));
        sent += size;
        const next = takes.pop() ?? 1;
        if (next % 2 === 0 && !take(Math.min(next, queue.bytes))) return false;
      }
      return take(queue.bytes) && queue.bytes === 0 && queue.length === 0;
    }),
  );
});

t.test('the queue gives away the same bytes in pieces of any size', async () => {
  const size = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 9_000 }));
  const step = fc.record({ push: size, take: fc.option(fc.integer({ min: 0, max: 12_000 })) });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const queue = new ChunkQueue();
      let sent = 0;
      let got = 0;
      let isSame = true;
      const check = (piece: Buffer) => {
        isSame &&= piece.length > 0 && piece.equals(patterned(piece.length, got));
        got += piece.length;
      };
      for (const { push, take } of steps) {
        queue.push(patterned(push, sent));
        sent += push;
        if (take === null) {
          check(queue.shift()!);
        } else {
          const end = Math.min(got + take, sent);
          queue.takeEach(end - got, check);
          isSame &&= got === end;
        }
        isSame &&= queue.bytes === sent - got;
        if (!isSame) return false;
      }
      queue.takeEach(queue.bytes, check);
      return isSame && got === sent && queue.length === 0 && queue.shift() === undefined;
    }),
  );
});

t.test('a chunk of 4 KiB or more is not copied, a smaller one behind others is', async (t) => {
  for (const [bytes, isCopied] of [
    [4_095, true],
    [4_096, false],
    [65_536, false],
  ] as const) {
    const queue = new ChunkQueue();
    const [first, chunk] = [Buffer.from('a'), Buffer.alloc(bytes, 'b')];
    for (const part of [first, chunk]) queue.push(part);
    const [one, other] = queue.takeAll();
    t.equal(one, first);
    t.equal(other !== chunk, isCopied, `${bytes} bytes`);
    t.ok(other?.equals(chunk));
  }
});

t.test('small chunks fill a block of 16 KiB before the next block begins', async (t) => {
  const queue = new ChunkQueue();
  queue.push(Buffer.from('a'));
  for (let count = 0; count < 4; count++) queue.push(Buffer.alloc(4_095, 'b'));
  queue.push(Buffer.alloc(4, 'c'));
  t.equal(queue.length, 2, 'the first chunk and a full block');
  queue.push(Buffer.alloc(1, 'd'));
  queue.push(Buffer.alloc(1, 'd'));
  t.equal(queue.length, 3);
  t.equal(queue.shift()?.toString(), 'a');
  queue.push(Buffer.alloc(1, 'd'));
  t.equal(queue.length, 2, 'the block is still used after a chunk was removed');
  t.strictSame(
    queue.takeAll().map(({ length }) => length),
    [16_384, 3],
  );
});

t.test('a block grows with its content and holds at most twice as much', async (t) => {
  for (let chunks = 1; chunks <= 256; chunks++) {
    const queue = new ChunkQueue();
    queue.push(Buffer.from('a'));
    for (let count = 0; count < chunks; count++) queue.push(Buffer.alloc(64, count));
    const [, block] = queue.takeAll();
    t.equal(block!.length, 64 * chunks);
    const heldBytes = block!.buffer.byteLength;
    t.ok(heldBytes <= Math.max(512, 2 * block!.length), `${heldBytes} bytes`);
  }
});

t.test('takeAll returns all bytes', async (t) => {
  const queue = new ChunkQueue();
  for (const part of ['large '.repeat(2_000), 'a', 'b', 'c', 'large '.repeat(2_000), 'd']) {
    queue.push(Buffer.from(part));
  }
  const all = 'large '.repeat(2_000);
  t.equal(Buffer.concat(queue.takeAll()).toString(), `${all}abc${all}d`);
  t.equal(queue.bytes, 0);
  t.equal(queue.length, 0);
});

t.test('single bytes are merged into few buffers', async (t) => {
  const queue = new ChunkQueue();
  const chunk = Buffer.alloc(65_536, 'x');
  for (let at = 0; at < chunk.length; at++) queue.push(chunk.subarray(at, at + 1));
  t.equal(queue.bytes, 65_536);
  t.ok(queue.length <= 6, `${queue.length} buffers`);
});
