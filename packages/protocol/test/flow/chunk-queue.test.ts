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
        const buffer = Buffer.alloc(bytes + 1);
        queue.takeInto(buffer, 1, bytes);
        const same = buffer.subarray(1).equals(patterned(bytes, got));
        got += bytes;
        return same && queue.bytes === sent - got;
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

t.test('takeAll returns all bytes', async (t) => {
  const queue = new ChunkQueue();
  for (const part of ['large '.repeat(2_000), 'a', 'b', 'c', 'large '.repeat(2_000), 'd']) {
    queue.push(Buffer.from(part));
  }
  const all = 'large '.repeat(2_000);
  t.equal(Buffer.concat(queue.takeAll()).toString(), `${all}abc${all}d`);
  t.equal(queue.bytes, 0);
});

t.test('single bytes are merged into few buffers', async (t) => {
  const queue = new ChunkQueue();
  const chunk = Buffer.alloc(65_536, 'x');
  for (let at = 0; at < chunk.length; at++) queue.push(chunk.subarray(at, at + 1));
  t.equal(queue.bytes, 65_536);
  t.ok(queue.length <= 6, `${queue.length} buffers`);
});
