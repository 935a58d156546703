import { largestOf, MemoryBudget } from '@fairlead/protocol';
import t from 'tap';
import { inVirtualTime } from '../event-loop/virtual-clock.ts';

const MiB = 1_048_576;

/** A stream that holds bytes of the budgets. */
function holder(heldBytes: number, ...budgets: MemoryBudget[]) {
  for (const budget of budgets) budget.hold(heldBytes);
  const stream = {
    heldBytes,
    resets: 0,
    resetForMemory() {
      stream.resets++;
      for (const budget of budgets) budget.release(stream.heldBytes);
      stream.heldBytes = 0;
    },
  };
  return stream;
}

t.test('4.6 the default cap is 64 MiB, of which an eighth is kept for open streams', async (t) => {
  const memory = new MemoryBudget();
  t.equal(memory.limitBytes, 64 * MiB);
  memory.hold(56 * MiB - 1);
  t.notOk(memory.isFull);
  t.ok(memory.tryGrow(1), 'below it, windows grow');
  memory.hold(1);
  t.ok(memory.isFull);
  t.notOk(memory.tryGrow(1), 'from it on, windows do not grow');
  memory.release(1);
  t.notOk(memory.isFull);
});

t.test('4.5 windows grow to the last byte of the pool', async (t) => {
  const memory = new MemoryBudget(1_000);
  t.notOk(memory.tryGrow(1_001));
  t.ok(memory.tryGrow(999));
  t.notOk(memory.tryGrow(2));
  t.ok(memory.tryGrow(1));
  t.equal(memory.grantedBytes, 1_000);
  memory.shrink(400);
  t.ok(memory.tryGrow(400));
});

t.test("4.5 growth counts in a tunnel's pool and in its process's, or in none", async (t) => {
  const process = new MemoryBudget(1_000);
  const [one, other] = [new MemoryBudget(800, process), new MemoryBudget(800, process)];
  t.ok(one.tryGrow(700));
  t.notOk(other.tryGrow(301), 'the process has no room');
  t.strictSame(
    [one, other, process].map(({ grantedBytes }) => grantedBytes),
    [700, 0, 700],
  );
  t.notOk(one.tryGrow(101), 'the tunnel has no room');
  t.equal(process.grantedBytes, 700);
  one.shrink(700);
  t.equal(process.grantedBytes, 0);
  t.ok(other.tryGrow(301));
});

t.test('4.6 only the cap of the process limits what streams hold', async (t) => {
  const process = new MemoryBudget(1_000);
  const tunnel = new MemoryBudget(100, process);
  const stream = holder(900, tunnel);
  tunnel.addFinder(() => stream);
  t.strictSame([tunnel.bufferedBytes, process.bufferedBytes], [900, 900]);
  t.ok(tunnel.isFull, 'new streams are refused');
  t.equal(stream.resets, 0, 'far above the limit of the tunnel, no stream is reset');
  tunnel.hold(100);
  t.equal(stream.resets, 0, 'nor at the cap of the process');
  tunnel.hold(1);
  t.equal(stream.resets, 1);
  t.strictSame([tunnel.bufferedBytes, process.bufferedBytes], [101, 101]);
  t.notOk(tunnel.isFull);
});

t.test('4.6 above the cap, the stream that holds most in all tunnels is reset', async (t) => {
  const process = new MemoryBudget(1_000);
  const tunnels = [0, 1, 2].map(() => new MemoryBudget(1_000, process));
  const streams = [300, 400, 200].map((bytes, index) => holder(bytes, tunnels[index]!));
  const removers = tunnels.map((tunnel, index) =>
    tunnel.addFinder(() => (streams[index]!.heldBytes > 0 ? streams[index] : undefined)),
  );
  const resets = () => streams.map((stream) => stream.resets);
  tunnels[2]!.hold(101);
  t.strictSame(resets(), [0, 1, 0]);
  tunnels[2]!.hold(400);
  t.strictSame(resets(), [1, 1, 0]);
  removers[2]!();
  tunnels[2]!.hold(1_000);
  t.strictSame(resets(), [1, 1, 0], 'a session that ended is not asked');
});

t.test('the largest stream is found, if any holds bytes', async (t) => {
  const [none, small, large] = [0, 1, 2].map((bytes) => holder(bytes));
  t.equal(largestOf([]), undefined);
  t.equal(largestOf([none!]), undefined);
  t.equal(largestOf([none!, small!]), small);
  t.equal(largestOf([small!, large!, none!]), large);
  t.equal(largestOf([large!, small!]), large);
});

t.test('4.5 a used-up pool asks for idle shares at most once a second', async (t) => {
  inVirtualTime((clock) => {
    const memory = new MemoryBudget(1_000);
    const askedAtMs: number[] = [];
    const startMs = clock.nowMs;
    const share = {
      returnIfIdle(nowMs: number) {
        askedAtMs.push(nowMs - startMs);
      },
    };
    memory.addShare(share);
    t.ok(memory.tryGrow(1_000));
    t.strictSame(askedAtMs, [], 'while there is room, no share is asked');
    for (let ms = 0; ms < 2_500; ms++) {
      t.notOk(memory.tryGrow(1));
      clock.advance(1);
    }
    t.strictSame(askedAtMs, [0, 1_000, 2_000]);
    memory.deleteShare(share);
    clock.advance(1_000);
    t.notOk(memory.tryGrow(1));
    t.equal(askedAtMs.length, 3, 'a share that was returned is not asked');
  });
});

t.test('4.5 a used-up process asks for idle shares of all tunnels, a tunnel its own', async (t) => {
  inVirtualTime(() => {
    const process = new MemoryBudget(1_000);
    const tunnels = [new MemoryBudget(1_000, process), new MemoryBudget(600, process)];
    const asked: number[] = [];
    const shares = tunnels.map((tunnel, index) => {
      const share = {
        returnIfIdle() {
          asked.push(index);
          tunnel.shrink(400);
          tunnel.deleteShare(share);
        },
      };
      t.ok(tunnel.tryGrow(400));
      tunnel.addShare(share);
      return share;
    });
    t.equal(shares.length, 2);
    t.ok(tunnels[1]!.tryGrow(600), 'its own share makes room in the tunnel');
    t.strictSame(asked, [1]);
    t.ok(tunnels[0]!.tryGrow(400), 'the share of any tunnel makes room in the process');
    t.strictSame(asked, [1, 0]);
    t.equal(process.grantedBytes, 1_000);
  });
});
