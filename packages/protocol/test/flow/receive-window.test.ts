import { MemoryBudget } from '@fairlead/protocol';
import { ReceiveWindow } from '@fairlead/protocol/internal';
import fc from 'fast-check';
import t from 'tap';
import { inVirtualTime } from '../event-loop/virtual-clock.ts';

const FIRST = 65_536;
const MiB = 1_048_576;

/** A pool that shows which windows it can ask for their shares. */
class WatchedBudget extends MemoryBudget {
  readonly shares = new Set<unknown>();

  override addShare(share: Parameters<MemoryBudget['addShare']>[0]): void {
    super.addShare(share);
    this.shares.add(share);
  }

  override deleteShare(share: Parameters<MemoryBudget['deleteShare']>[0]): void {
    super.deleteShare(share);
    this.shares.delete(share);
  }
}

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
          const memory = new WatchedBudget(limitBytes);
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
            assert(memory.shares.has(window) === grown > 0, 'the pool knows who has grown');
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
          assert(memory.shares.size === 0, 'and the pool forgets the window');
        }),
    ),
    { numRuns: 300 },
  );
});

t.test('4.3 DATA beyond the credit is refused', async (t) => {
  const pair = new WindowPair(undefined, Infinity);
  pair.send(FIRST);
  t.equal(pair.creditBytes, 0);
  pair.consume(FIRST / 2);
  pair.send(FIRST / 2 - 10);
  t.throws(() => pair.window.onReceived(17), {
    code: 'flow_control_error',
    message: 'DATA exceeds the credit by 7 bytes',
  });
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

t.test('4.5 the first grant does not show the pace of the stream', async (t) => {
  inVirtualTime(() => {
    const pair = new WindowPair(undefined, 10_000);
    pair.send(FIRST);
    t.equal(pair.consume(FIRST), FIRST);
    pair.send(FIRST);
    t.equal(pair.consume(FIRST), 2 * FIRST, 'the second does');
  });
});

t.test('4.5 half a window that lasts 1 s and 16 round trips is too large', async (t) => {
  for (const [rttMs, lastsMs, shrinks] of [
    [10, 990, false],
    [10, 1_010, true],
    [100, 1_590, false],
    [100, 1_610, true],
  ] as const) {
    inVirtualTime((clock) => {
      const pair = new WindowPair(undefined, rttMs);
      for (let round = 0; round < 3; round++) {
        pair.send(Infinity);
        clock.advance(rttMs);
        pair.consume(Infinity);
      }
      t.equal(pair.window.windowBytes, 4 * FIRST);
      pair.send(2 * FIRST);
      clock.advance(lastsMs);
      pair.consume(2 * FIRST);
      const size = pair.window.windowBytes / FIRST;
      t.equal(size, shrinks ? 2 : 4, `${lastsMs} ms at ${rttMs} ms`);
    });
  }
});

t.test('4.5 a window that is far too large shrinks by withheld credit', async (t) => {
  inVirtualTime((clock) => {
    const memory = new WatchedBudget(64 * MiB);
    const pair = new WindowPair(memory);
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
      const { windowBytes, heldBytes } = pair.window;
      assert(pair.creditBytes + heldBytes <= windowBytes, 'credit fits the window');
      assert(memory.grantedBytes === windowBytes - FIRST, 'the pool gets back the rest');
      assert(memory.shares.has(pair.window) === windowBytes > FIRST, 'it can ask for a share');
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

t.test('4.5 an idle stream gets its share back if the pool has room', async (t) => {
  inVirtualTime((clock) => {
    const pair = new WindowPair();
    const { memory, window } = pair;
    for (let round = 0; round < 4; round++) {
      pair.send(Infinity);
      clock.advance(20);
      pair.consume(Infinity);
    }
    t.equal(memory.grantedBytes, 7 * FIRST);
    window.returnIfIdle(clock.nowMs + 9_999);
    t.equal(memory.grantedBytes, 7 * FIRST, 'it had a grant within 10 s');
    window.returnIfIdle(clock.nowMs + 10_000);
    t.equal(memory.grantedBytes, 0);
    pair.send(Infinity);
    clock.advance(300);
    pair.consume(Infinity);
    t.equal(window.windowBytes, 8 * FIRST);
    t.equal(memory.grantedBytes, 7 * FIRST);
    t.equal(pair.creditBytes, 8 * FIRST);
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

function assert(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}
