import { randomBytes } from 'node:crypto';
import { MemoryBudget } from '@fairlead/protocol';
import { ReceiveWindow } from '@fairlead/protocol/internal';
import fc from 'fast-check';
import t from 'tap';
import { inVirtualTime } from '../event-loop/virtual-clock.ts';
import { RecordingStream, sendAll } from '../session/recording-handlers.ts';
import { openStream } from '../session/session-contract.ts';
import { connectedPair, memoryTransports } from '../session/session-pair.ts';
import { SimulatedTunnel } from './simulated-tunnel.ts';

const FIRST = 65_536;
const MiB = 1_048_576;

/** A window, and a sender at the other end that respects its credit. */
class WindowPair {
  readonly memory: MemoryBudget;
  readonly window: ReceiveWindow;
  minRttMs: number;
  creditBytes = FIRST;
  sentBytes = 0;
  grantedBytes = FIRST;
  consumedBytes = 0;

  constructor(memory = new MemoryBudget(64 * MiB), minRttMs = 100, maxWindowBytes = 16 * MiB) {
    this.memory = memory;
    this.minRttMs = minRttMs;
    const pair = this;
    this.window = new ReceiveWindow({
      maxWindowBytes,
      memory,
      get minRttMs() {
        return pair.minRttMs;
      },
    });
  }

  send(bytes: number): number {
    const sent = Math.min(bytes, this.creditBytes);
    this.creditBytes -= sent;
    this.sentBytes += sent;
    if (sent > 0) this.window.onReceived(sent);
    return sent;
  }

  consume(bytes: number): number {
    const taken = Math.min(bytes, this.window.heldBytes);
    if (taken === 0) return 0;
    const grant = this.window.onConsumed(taken);
    this.consumedBytes += taken;
    this.creditBytes += grant;
    this.grantedBytes += grant;
    return grant;
  }
}

t.test('4.4 credit is conserved and never runs out', async () => {
  const action = fc.oneof(
    fc.record({ send: fc.integer({ min: 1, max: 200_000 }) }),
    fc.record({ consume: fc.integer({ min: 1, max: 200_000 }) }),
    fc.record({ waitMs: fc.integer({ min: 0, max: 3_000 }) }),
    fc.record({ rttMs: fc.oneof(fc.constant(Infinity), fc.integer({ min: 0, max: 500 })) }),
  );
  fc.assert(
    fc.property(
      fc.array(action, { maxLength: 200 }),
      fc.constantFrom(0, FIRST, 300_000, 64 * MiB),
      fc.constantFrom(1_000, FIRST, 100_000, 200_001, 16 * MiB),
      (actions, limitBytes, maxWindowBytes) =>
        inVirtualTime((clock) => {
          const memory = new MemoryBudget(limitBytes);
          const pair = new WindowPair(memory, 100, maxWindowBytes);
          const { window } = pair;
          const check = () => {
            const ceiling = Math.max(FIRST, maxWindowBytes);
            const grown = window.windowBytes - FIRST;
            assert(window.windowBytes >= FIRST && window.windowBytes <= ceiling, 'window');
            assert(pair.sentBytes <= pair.grantedBytes, 'no bytes beyond the credit');
            assert(memory.bufferedBytes === window.heldBytes, 'buffered bytes are counted');
            assert(memory.grantedBytes === grown, 'growth is counted');
            assert(grown <= limitBytes, 'growth stays within the pool');
            const outstanding = pair.creditBytes + window.heldBytes;
            assert(outstanding <= window.windowBytes, 'credit and buffered bytes fit the window');
          };
          for (const step of actions) {
            if ('send' in step) pair.send(step.send);
            else if ('consume' in step) pair.consume(step.consume);
            else if ('waitMs' in step) clock.advance(step.waitMs);
            else pair.minRttMs = step.rttMs;
            check();
          }
          pair.consume(Infinity);
          check();
          assert(pair.creditBytes >= FIRST / 2, 'an empty window is at least half open');
          assert(pair.consumedBytes === pair.sentBytes, 'all bytes were consumed');
          pair.send(10_000);
          window.close();
          assert(memory.bufferedBytes === 0 && memory.grantedBytes === 0, 'all memory is released');
        }),
    ),
    { numRuns: 300 },
  );
});

t.test('4.4 credit is granted in steps of half a window', async (t) => {
  const pair = new WindowPair(undefined, Infinity);
  pair.send(FIRST);
  t.equal(pair.consume(FIRST / 2 - 1), 0);
  t.equal(pair.consume(1), FIRST / 2);
  t.equal(pair.consume(FIRST / 2), FIRST / 2);
});

t.test(
  '4.5 a window grows while half of it is consumed in less than 1.5 round trips',
  async (t) => {
    inVirtualTime((clock) => {
      const pair = new WindowPair();
      const sizes: number[] = [];
      for (let round = 0; round < 12; round++) {
        pair.send(Infinity);
        clock.advance(100);
        pair.consume(Infinity);
        sizes.push(pair.window.windowBytes / FIRST);
      }
      t.strictSame(sizes, [1, 2, 4, 8, 16, 32, 64, 128, 256, 256, 256, 256]);
      t.equal(pair.memory.grantedBytes, 16 * MiB - FIRST);
    });
  },
);

t.test('4.5 a window that does not limit its stream does not change', async (t) => {
  inVirtualTime((clock) => {
    const pair = new WindowPair();
    for (let round = 0; round < 20; round++) {
      pair.send(Infinity);
      clock.advance(310);
      pair.consume(Infinity);
    }
    t.equal(pair.window.windowBytes, FIRST);
    const unknown = new WindowPair(undefined, Infinity);
    for (let round = 0; round < 20; round++) {
      unknown.send(Infinity);
      unknown.consume(Infinity);
    }
    t.equal(unknown.window.windowBytes, FIRST, 'the same without a known round trip time');
  });
});

t.test('4.5 a window that is far too large shrinks by withheld credit', async (t) => {
  inVirtualTime((clock) => {
    const pair = new WindowPair();
    for (let round = 0; round < 8; round++) {
      pair.send(Infinity);
      clock.advance(50);
      pair.consume(Infinity);
    }
    t.equal(pair.window.windowBytes, 128 * FIRST);
    for (let second = 0; second < 3_600; second++) {
      clock.advance(1_000);
      pair.send(FIRST / 4);
      if (pair.consume(FIRST / 4) < 0) t.fail('credit is never recalled');
    }
    t.equal(pair.window.windowBytes, FIRST);
    t.equal(pair.memory.grantedBytes, 0);
  });
});

t.test(
  '4.5 a window whose limit is not a power of two shrinks to the first size, not below',
  async (t) => {
    inVirtualTime((clock) => {
      const pair = new WindowPair(undefined, 100, 100_000);
      for (let round = 0; round < 4; round++) {
        pair.send(Infinity);
        clock.advance(50);
        pair.consume(Infinity);
      }
      t.equal(pair.window.windowBytes, 100_000);
      for (let round = 0; round < 20; round++) {
        pair.send(Infinity);
        clock.advance(10_000);
        pair.consume(Infinity);
      }
      t.equal(pair.window.windowBytes, FIRST);
      t.equal(pair.memory.grantedBytes, 0);
    });
  },
);

t.test('4.4 a window that cannot grow is granted in eighths', async (t) => {
  const pair = new WindowPair(undefined, 100, FIRST);
  pair.send(FIRST);
  t.equal(pair.consume(FIRST / 8 - 1), 0);
  t.equal(pair.consume(1), FIRST / 8);
});

t.test('4.5 windows grow only while the pools have room', async (t) => {
  inVirtualTime((clock) => {
    const process = new MemoryBudget(10 * FIRST);
    const tunnels = [new MemoryBudget(6 * FIRST, process), new MemoryBudget(6 * FIRST, process)];
    const pairs = [0, 0, 1, 1].map((tunnel) => new WindowPair(tunnels[tunnel]));
    for (let round = 0; round < 20; round++) {
      for (const pair of pairs) pair.send(FIRST);
      clock.advance(20);
      for (const pair of pairs) pair.consume(Infinity);
    }
    const grown = pairs.map(({ window }) => window.windowBytes / FIRST - 1);
    t.strictSame(grown, [3, 3, 3, 1], 'at most six for one tunnel and ten for both');
    t.equal(process.grantedBytes, 10 * FIRST);
    pairs[0]!.window.close();
    t.equal(tunnels[0]!.grantedBytes, 3 * FIRST);
    t.equal(process.grantedBytes, 7 * FIRST);
    for (const { window } of pairs.slice(1)) window.close();
    t.equal(process.grantedBytes + process.bufferedBytes, 0);
  });
});

t.test('4.5 an idle stream returns its share of a used-up pool to other streams', async (t) => {
  inVirtualTime((clock) => {
    const memory = new MemoryBudget(7 * FIRST);
    const idle = new WindowPair(memory);
    const busy = new WindowPair(memory);
    const use = (pair: WindowPair, rounds: number) => {
      for (let round = 0; round < rounds; round++) {
        pair.send(Infinity);
        clock.advance(20);
        pair.consume(Infinity);
      }
    };
    use(idle, 8);
    t.equal(idle.window.windowBytes, 8 * FIRST);
    use(busy, 8);
    t.equal(busy.window.windowBytes, FIRST, 'the pool is used up');
    clock.advance(10_000);
    use(busy, 8);
    t.equal(busy.window.windowBytes, 8 * FIRST, 'the idle window returned its share');
    t.equal(memory.grantedBytes, 7 * FIRST);

    // Credit cannot be revoked. It is just not granted again.
    use(idle, 1);
    t.equal(idle.window.windowBytes, FIRST);
    t.ok(idle.creditBytes <= FIRST);
    t.equal(idle.grantedBytes - idle.consumedBytes - idle.creditBytes, 0, 'no credit is lost');
    busy.window.close();
    t.equal(memory.grantedBytes, 0);
    use(idle, 8);
    t.equal(idle.window.windowBytes, 8 * FIRST, 'the pool has room again');
    idle.window.close();
    t.equal(memory.grantedBytes + memory.bufferedBytes, 0);
  });
});

t.test('4.6 at the cap of the process, windows do not grow', async (t) => {
  inVirtualTime((clock) => {
    const process = new MemoryBudget(4 * FIRST);
    const pair = new WindowPair(new MemoryBudget(64 * MiB, process));
    process.hold(4 * FIRST);
    t.ok(process.isFull);
    for (let round = 0; round < 5; round++) {
      pair.send(1);
      pair.send(FIRST);
      clock.advance(10);
      pair.consume(Infinity);
    }
    t.equal(pair.window.windowBytes, FIRST);
    process.release(4 * FIRST);
    for (let round = 0; round < 5; round++) {
      pair.send(FIRST);
      clock.advance(10);
      pair.consume(Infinity);
    }
    t.ok(pair.window.windowBytes > FIRST, 'below the cap, the window grows');
  });
});

t.test('a stalled reader buffers one window and does not slow other streams', async (t) => {
  const memory = new MemoryBudget(64 * MiB);
  const pair = await connectedPair(t, memoryTransports(), {}, { memory });
  const stalled = await openStream(pair);
  stalled.onFar.credits = undefined;
  void sendAll(stalled.near, stalled.onNear, randomBytes(500_000));
  await stalled.onFar.until(() => stalled.onFar.byteCount === FIRST);
  const healthy = await openStream(pair);
  const payload = randomBytes(5_000_000);
  await sendAll(healthy.near, healthy.onNear, payload);
  await healthy.onFar.until(() => healthy.onFar.has('end'));
  t.equal(healthy.onFar.byteCount, payload.length);
  t.equal(stalled.onFar.byteCount, FIRST);
  t.equal(memory.bufferedBytes, FIRST);
  stalled.onFar.credits = stalled.far;
  stalled.far.consumed(FIRST);
  await stalled.onFar.until(() => stalled.onFar.has('end'));
  t.equal(stalled.onFar.byteCount, 500_000, 'it completes when it is read again');
});

t.test('streams release their memory when they end, are reset or lose the tunnel', async (t) => {
  const process = new MemoryBudget(256 * MiB);
  inVirtualTime((clock) => {
    const memory = new MemoryBudget(64 * MiB, process);
    const tunnel = new SimulatedTunnel(clock, { bytesPerMs: 12_500, rttMs: 100, memory });
    const bulks = [tunnel.bulk(), tunnel.bulk(), tunnel.bulk()];
    clock.advance(5_000);
    t.ok(memory.grantedBytes > FIRST, `grown by ${memory.grantedBytes}`);
    t.equal(process.grantedBytes, memory.grantedBytes);
    for (const bulk of bulks) bulk.stop();
    clock.advance(2_000);
    const before = memory.grantedBytes;
    bulks[1]?.cancel();
    clock.advance(2_000);
    t.ok(memory.grantedBytes < before);
    tunnel.agent.transport.destroy();
    clock.advance(1_000);
  });
  t.equal(process.grantedBytes, 0);
  t.equal(process.bufferedBytes, 0);
});

t.test('with random writes, reads and pauses, all bytes arrive within the credit', async () => {
  const step = fc.record({
    write: fc.integer({ min: 0, max: 150_000 }),
    read: fc.integer({ min: 0, max: 150_000 }),
    waitMs: fc.integer({ min: 0, max: 300 }),
  });
  fc.assert(
    fc.property(
      fc.array(fc.array(step, { maxLength: 30 }), { minLength: 1, maxLength: 4 }),
      (plans) =>
        inVirtualTime((clock) => {
          const memory = new MemoryBudget(2 * MiB);
          const tunnel = new SimulatedTunnel(clock, { bytesPerMs: 2_000, rttMs: 40, memory });
          const streams = plans.map((plan) => {
            const onNear = new RecordingStream(false);
            const onFar = new RecordingStream(false);
            const near = tunnel.server.open({ host: 'a', port: 80 }, onNear);
            tunnel.onAgent.offer = (far) => {
              far.attach(onFar);
              far.accept();
            };
            clock.advanceUntil(() => onNear.has('opened'), 10_000);
            const far = tunnel.onAgent.offered.at(-1)!;
            return { plan, near, far, onNear, onFar, consumed: 0, written: 0 };
          });
          const read = (stream: (typeof streams)[number], bytes: number) => {
            const taken = Math.min(bytes, stream.onFar.byteCount - stream.consumed);
            stream.consumed += taken;
            if (taken > 0) stream.far.consumed(taken);
          };
          for (let at = 0; at < 30; at++) {
            for (const stream of streams) {
              const { write = 0, read: readBytes = 0, waitMs = 0 } = stream.plan[at] ?? {};
              if (write > 0) stream.near.write(Buffer.alloc(write));
              stream.written += write;
              read(stream, readBytes);
              clock.advance(waitMs);
            }
          }
          for (const stream of streams) {
            stream.near.end();
            stream.far.end();
          }
          const isDone = () =>
            streams.every(({ onNear, onFar }) => onNear.isClosed && onFar.isClosed);
          for (let round = 0; round < 200 && !isDone(); round++) {
            clock.advance(200);
            for (const stream of streams) read(stream, Infinity);
          }
          assert(tunnel.isUp, `ended with ${tunnel.onAgent.closes[0]?.message}`);
          assert(isDone(), 'every stream ended');
          for (const { onFar, written, onNear } of streams) {
            assert(onFar.byteCount === written, `${onFar.byteCount} of ${written} bytes arrived`);
            assert(onFar.error === undefined && onNear.error === undefined, 'without an error');
          }
          assert(memory.bufferedBytes === 0 && memory.grantedBytes === 0, 'memory is released');
        }),
    ),
    { numRuns: 40 },
  );
});

function assert(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}
