import { FrameBatch, type Sender, SendScheduler } from '@fairlead/protocol/internal';
import fc from 'fast-check';
import t from 'tap';
import { takeBytes } from '../wire/batch-bytes.ts';
import { decodeAll } from '../wire/oracle-codec.ts';

const QUANTUM_BYTES = 32_760;
const PLENTY = 1_000_000_000;

/** A stream with a queue only. */
class FakeSender implements Sender {
  next: Sender | undefined;
  queue: unknown;
  deficit = 0;
  readonly id: number;
  creditBytes = PLENTY;
  drains = 0;
  #chunks: Buffer[] = [];
  #ending = false;
  finSent = false;
  written = 0;
  readonly #scheduler: SendScheduler;

  constructor(scheduler: SendScheduler, id: number) {
    this.#scheduler = scheduler;
    this.id = id;
  }

  get pendingBytes(): number {
    return this.#chunks.reduce((sum, { length }) => sum + length, 0);
  }

  get sendableBytes(): number {
    return Math.min(this.pendingBytes, this.creditBytes);
  }

  get finIsDue(): boolean {
    return this.#ending && !this.finSent && this.pendingBytes === 0;
  }

  /** Writes bytes that continue to count, so that their order can be checked. */
  write(bytes: number, pieceBytes = bytes): this {
    for (let left = bytes; left > 0; left -= pieceBytes) {
      const chunk = Buffer.alloc(Math.min(left, pieceBytes));
      for (let at = 0; at < chunk.length; at++) chunk[at] = this.written++;
      this.#chunks.push(chunk);
    }
    return this.announce();
  }

  end(): this {
    this.#ending = true;
    return this.announce();
  }

  announce(): this {
    if (this.sendableBytes > 0 || this.finIsDue) this.#scheduler.add(this);
    return this;
  }

  takeInto(buffer: Buffer, at: number, bytes: number): void {
    const waiting = Buffer.concat(this.#chunks);
    waiting.copy(buffer, at, 0, bytes);
    this.#chunks = bytes < waiting.length ? [waiting.subarray(bytes)] : [];
    this.creditBytes -= bytes;
  }

  onFinSent(): void {
    this.finSent = true;
  }

  drainIfLow(): void {
    this.drains++;
  }
}

interface Sent {
  readonly id: number;
  readonly bytes: number;
  readonly isFin: boolean;
}

/** The frames of one flush, in order. They follow a control frame, whose bytes do not count. */
function flush(scheduler: SendScheduler, bulkBytes = PLENTY, interactiveBytes = bulkBytes): Sent[] {
  const batch = new FrameBatch();
  batch.hello({ software: 'x'.repeat(10_000) });
  scheduler.fill(batch, bulkBytes, interactiveBytes);
  const { frames } = decodeAll(takeBytes(batch));
  frames.shift();
  return frames.map((frame) => {
    if (frame.name === 'DATA') return { id: frame.id, bytes: frame.hex.length / 2, isFin: false };
    if (frame.name === 'FIN') return { id: frame.id, bytes: 0, isFin: true };
    throw new Error(`an unexpected frame ${frame.name}`);
  });
}

function bytesOf(sent: readonly Sent[], id: number): number {
  return sent.reduce((sum, frame) => sum + (frame.id === id ? frame.bytes : 0), 0);
}

t.test('5.2 a stream that becomes ready with few bytes is sent before bulk', async (t) => {
  const scheduler = new SendScheduler();
  new FakeSender(scheduler, 1).write(300_000);
  new FakeSender(scheduler, 2).write(300_000);
  t.equal(flush(scheduler, 1)[0]?.id, 1);
  new FakeSender(scheduler, 3).write(4_096);
  new FakeSender(scheduler, 4).write(4_097);
  const order = flush(scheduler).map(({ id }) => id);
  t.equal(order[0], 3);
  t.equal(order[1], 2, 'bulk follows in order');
  t.ok(order.indexOf(4) > order.indexOf(1), 'more than 4 KiB counts as bulk');
});

t.test('5.2 few bytes in several chunks are sent together before bulk', async (t) => {
  const scheduler = new SendScheduler();
  new FakeSender(scheduler, 1).write(300_000);
  flush(scheduler, 1);
  const small = new FakeSender(scheduler, 2).write(1_000, 100).end();
  const sent = flush(scheduler);
  t.strictSame(sent.slice(0, 2), [
    { id: 2, bytes: 1_000, isFin: false },
    { id: 2, bytes: 0, isFin: true },
  ]);
  t.ok(small.finSent);
});

t.test('5.2 small writes can exceed a used-up bulk limit', async (t) => {
  const scheduler = new SendScheduler();
  new FakeSender(scheduler, 1).write(300_000);
  new FakeSender(scheduler, 2).write(10);
  t.strictSame(flush(scheduler, 0, 65_536), [{ id: 2, bytes: 10, isFin: false }]);
  t.strictSame(flush(scheduler, -5, 65_536), [], 'bulk cannot exceed it');
  t.strictSame(flush(scheduler, 0, 65_536), [], 'bulk needs room');
  t.ok(scheduler.hasBulk);
  new FakeSender(scheduler, 3).write(10);
  t.strictSame(flush(scheduler, -70_000, -4_464), [], 'no stream sends if both limits are used up');
  t.strictSame(flush(scheduler, -65_536, 0), [], 'small writes need room');
  t.ok(scheduler.hasInteractive);
});

t.test('5.2 streams that go first get every second quantum together', async (t) => {
  const scheduler = new SendScheduler();
  new FakeSender(scheduler, 1).write(300_000);
  // Eight of their frames, with headers of 8 bytes, are a quantum.
  for (let id = 2; id < 22; id++) new FakeSender(scheduler, id).write(QUANTUM_BYTES / 8 - 8);
  const first = flush(scheduler, PLENTY).slice(0, 22);
  const bulkAt = first.flatMap(({ id }, index) => (id === 1 ? [index] : []));
  t.strictSame(bulkAt, [8, 17]);
  t.ok(first.every(({ id, bytes }) => id !== 1 || bytes === QUANTUM_BYTES));
});

t.test('5.2 a stream that goes first sends a quantum and then joins the others', async (t) => {
  const scheduler = new SendScheduler();
  const first = new FakeSender(scheduler, 1).write(10);
  new FakeSender(scheduler, 2).write(40_000);
  first.write(2 * QUANTUM_BYTES).end();
  const sent = flush(scheduler);
  t.strictSame(sent[0], { id: 1, bytes: QUANTUM_BYTES, isFin: false });
  t.equal(sent[1]?.id, 2, 'another stream is next');
  t.equal(bytesOf(sent, 1), 2 * QUANTUM_BYTES + 10);
  t.strictSame(sent.at(-1), { id: 1, bytes: 0, isFin: true });
});

t.test('5.2 bulk is not starved by many small writers', async (t) => {
  const scheduler = new SendScheduler();
  const bulk = new FakeSender(scheduler, 1).write(1_000_000);
  const small = Array.from({ length: 100 }, (_, index) => new FakeSender(scheduler, 2 + index));
  let [bulkBytes, smallBytes] = [0, 0];
  for (let round = 0; round < 50; round++) {
    for (const sender of small) if (sender.pendingBytes === 0) sender.write(4_000);
    for (const { id, bytes } of flush(scheduler, 20_000)) {
      if (id === bulk.id) bulkBytes += bytes;
      else smallBytes += bytes;
    }
  }
  t.ok(bulkBytes > 0.8 * smallBytes, `${bulkBytes} beside ${smallBytes}`);
  t.ok(smallBytes > 0.8 * bulkBytes);
});

t.test('5.2 bulk is not starved if the bound has room for small writers only', async (t) => {
  const scheduler = new SendScheduler();
  const bulk = new FakeSender(scheduler, 1).write(1_000_000);
  const small = Array.from({ length: 100 }, (_, index) => new FakeSender(scheduler, 2 + index));
  let inFlight = 100_000;
  const boundBytes = 100_000;
  let bulkBytes = 0;
  // The link delivers 10 KB per round. The small writers alone would send more.
  for (let round = 0; round < 200; round++) {
    inFlight = Math.max(0, inFlight - 10_000);
    for (const sender of small) if (sender.pendingBytes === 0) sender.write(4_000);
    const room = boundBytes - inFlight;
    const sent = flush(scheduler, room, room + 65_536);
    for (const { bytes } of sent) inFlight += bytes;
    bulkBytes += bytesOf(sent, bulk.id);
  }
  t.ok(bulkBytes > 0.4 * 200 * 10_000, `${bulkBytes} bytes`);
});

t.test('5.2 a small writer is not delayed by its own earlier bytes', async (t) => {
  const scheduler = new SendScheduler();
  const small = new FakeSender(scheduler, 2);
  for (let round = 0; round < 100; round++) {
    small.write(4_000);
    flush(scheduler, 65_536);
  }
  new FakeSender(scheduler, 1).write(300_000);
  small.write(1);
  t.strictSame(flush(scheduler, -1, 65_535), [{ id: 2, bytes: 1, isFin: false }]);
});

t.test('5.3 bulk streams share evenly for all sizes of chunks', async (t) => {
  const scheduler = new SendScheduler();
  const chunkBytes = [100, 1_460, 16_384, 32_761, 65_536, 1_000_000];
  const senders = chunkBytes.map((bytes, index) =>
    new FakeSender(scheduler, index + 1).write(1_500_000, bytes),
  );
  const got = senders.map(() => 0);
  for (let round = 0; round < 100; round++) {
    for (const { id, bytes } of flush(scheduler, 60_000)) got[id - 1]! += bytes;
  }
  t.ok(
    Math.max(...got) - Math.min(...got) <= 2 * QUANTUM_BYTES,
    `they differ by at most two quanta: ${got.join(' ')}`,
  );
});

t.test('5.3 a quantum is about 32 KiB', async (t) => {
  const scheduler = new SendScheduler();
  new FakeSender(scheduler, 1).write(500_000, 5_000);
  new FakeSender(scheduler, 2).write(500_000);
  let run = 0;
  let last: number | undefined;
  for (const { id, bytes } of flush(scheduler, 400_000)) {
    if (id !== last) run = 0;
    run += bytes;
    last = id;
    t.ok(run < 2 * QUANTUM_BYTES, `${run} bytes in a row`);
  }
});

t.test('a flush ends near its limit', async (t) => {
  const scheduler = new SendScheduler();
  new FakeSender(scheduler, 1).write(1_000_000);
  const sent = bytesOf(flush(scheduler, 100_000), 1);
  t.ok(sent >= 100_000 - 100 && sent < 100_000 + 2 * QUANTUM_BYTES, `${sent}`);
});

t.test('4.1 a stream without credit leaves the queue and returns with new credit', async (t) => {
  const scheduler = new SendScheduler();
  const sender = new FakeSender(scheduler, 1);
  sender.creditBytes = 10_000;
  sender.write(50_000);
  t.equal(bytesOf(flush(scheduler), 1), 10_000);
  t.notOk(scheduler.hasBulk || scheduler.hasInteractive);
  sender.creditBytes = 40_000;
  sender.announce();
  t.equal(bytesOf(flush(scheduler), 1), 40_000);
});

t.test('3.5 FIN follows all data, or is sent alone if there is none', async (t) => {
  const scheduler = new SendScheduler();
  new FakeSender(scheduler, 1).write(100_000, 7_000).end();
  new FakeSender(scheduler, 2).end();
  const sent = flush(scheduler);
  t.ok(sent[0]?.isFin && sent[0].id === 2, 'a FIN without data is sent before bulk');
  t.ok(sent.at(-1)?.isFin);
  t.equal(bytesOf(sent, 1), 100_000);
  t.equal(sent.filter(({ isFin }) => isFin).length, 2);
});

t.test('writers are notified once after their bytes were sent', async (t) => {
  const scheduler = new SendScheduler();
  const [one, two] = [
    new FakeSender(scheduler, 1).write(10),
    new FakeSender(scheduler, 2).write(10),
  ];
  flush(scheduler);
  scheduler.notifyDrained();
  scheduler.notifyDrained();
  t.equal(one.drains, 1);
  t.equal(two.drains, 1);
});

t.test('all written bytes arrive in order within each stream, then FIN', async () => {
  const write = fc.record({
    stream: fc.integer({ min: 1, max: 6 }),
    bytes: fc.integer({ min: 1, max: 90_000 }),
    pieceBytes: fc.integer({ min: 500, max: 70_000 }),
    flushBytes: fc.option(fc.integer({ min: 0, max: 80_000 })),
  });
  fc.assert(
    fc.property(fc.array(write, { maxLength: 20 }), (writes) => {
      const scheduler = new SendScheduler();
      const senders = new Map<number, FakeSender>();
      const received = new Map<number, number>();
      const finished = new Set<number>();
      const run = (bytes: number) => {
        const batch = new FrameBatch();
        scheduler.fill(batch, bytes, bytes);
        for (const frame of decodeAll(takeBytes(batch)).frames) {
          if (frame.name === 'FIN') finished.add(frame.id);
          if (frame.name !== 'DATA') continue;
          if (finished.has(frame.id)) throw new Error('DATA after FIN');
          let at = received.get(frame.id) ?? 0;
          for (const byte of Buffer.from(frame.hex, 'hex')) {
            if (byte !== (at++ & 255)) throw new Error(`stream ${frame.id} is out of order`);
          }
          received.set(frame.id, at);
        }
      };
      for (const { stream, bytes, pieceBytes, flushBytes } of writes) {
        const sender = senders.get(stream) ?? new FakeSender(scheduler, stream);
        senders.set(stream, sender);
        sender.write(bytes, pieceBytes);
        if (flushBytes !== null) run(flushBytes);
      }
      for (const sender of senders.values()) sender.end();
      run(PLENTY);
      for (const { id, written } of senders.values()) {
        if (received.get(id) !== written || !finished.has(id)) throw new Error(`stream ${id}`);
      }
      if (scheduler.hasBulk || scheduler.hasInteractive) throw new Error('a stream still waits');
    }),
    { numRuns: 25 },
  );
});
