import { randomBytes } from 'node:crypto';
import { MemoryBudget } from '@fairlead/protocol';
import fc from 'fast-check';
import t from 'tap';
import { inVirtualTime } from '../event-loop/virtual-clock.ts';
import { RecordingStream, sendAll } from '../session/recording-handlers.ts';
import { openStream } from '../session/session-contract.ts';
import { connectedPair, memoryTransports } from '../session/session-pair.ts';
import { SimulatedTunnel } from './simulated-tunnel.ts';

const FIRST = 65_536;
const MiB = 1_048_576;

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
