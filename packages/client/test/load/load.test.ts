import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type LoadOrder, Meter, startLoad } from '@fairlead/client/load';
import { eventually, reserveRefusedPort } from '@fairlead/testkit';
import { type ControlledTime, controlTime } from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';

/** Starts an echo target that can delay its answers. */
async function startEcho(t: Test) {
  let isDelaying = false;
  const delayed: (() => void)[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      if (isDelaying) delayed.push(() => socket.write(chunk));
      else socket.write(chunk);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    address: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    delayAnswers() {
      isDelaying = true;
    },
    sendAnswers() {
      isDelaying = false;
      for (const answer of delayed.splice(0)) answer();
    },
    resetAll() {
      for (const socket of sockets) socket.resetAndDestroy();
      sockets.clear();
    },
  };
}

/** Advances time in steps, in which due messages are sent and answered. */
async function pass(time: ControlledTime, ms: number) {
  for (let passedMs = 0; passedMs < ms; passedMs += 5) {
    await time.advance(5);
    // A message needs some ticks to the target and back.
    for (let tick = 0; tick < 4; tick++) await new Promise(setImmediate);
  }
}

/** Advances time until all streams are open. */
async function untilRunning(time: ControlledTime, load: Awaited<ReturnType<typeof startLoad>>) {
  let isRunning = false;
  const running = load.running.then(() => {
    isRunning = true;
  });
  await eventually('the load runs', async () => {
    await time.advance(5);
    return isRunning;
  });
  await running;
}

function echoOrder(target: { host: string; port: number }, more: Partial<LoadOrder> = {}) {
  const route = { address: target, by: 'forward', target } as const;
  const order = { kind: 'echo', route, streams: 2, messageBytes: 16, pauseMs: 0, ...more };
  return order as LoadOrder;
}

/** Starts a load on an echo target in controlled time, and begins the measurement when all streams are open. */
async function startMeasured(t: Test, more: Partial<LoadOrder>) {
  const time = controlTime(t);
  const target = await startEcho(t);
  const meter = new Meter();
  const load = await startLoad(echoOrder(target.address, more), meter);
  await untilRunning(time, load);
  meter.begin();
  return { time, target, meter, load };
}

t.test('a load keeps its rate and does not exceed it', async (t) => {
  const { time, meter, load } = await startMeasured(t, { ratePerSecond: 200 });
  await pass(time, 1000);
  const { operations, elapsedMs } = meter.end();
  await load.stop();
  const rate = (operations / elapsedMs) * 1000;
  t.ok(rate > 150 && rate < 215, `${rate.toFixed(0)} of 200 per second`);
});

t.test('latency counts from the time a message was due, also during a stall', async (t) => {
  const { time, target, meter, load } = await startMeasured(t, { ratePerSecond: 200 });
  target.delayAnswers();
  await pass(time, 500);
  target.sendAnswers();
  await pass(time, 500);
  const { p50Us, p90Us, operations } = meter.end();
  await load.stop();
  // About 100 messages were due during the stall, one every 5 ms. If latency counted from the time a
  // message was sent, only the two messages in flight would be slow.
  t.ok(p90Us > 200_000, `p90 ${p90Us} us`);
  t.ok(p50Us < 400_000, `p50 ${p50Us} us: later messages waited less`);
  t.ok(operations > 120, `${operations} messages: due messages are sent later`);
});

t.test('without a rate, a stall makes only the messages in flight slow', async (t) => {
  const { time, target, meter, load } = await startMeasured(t, {});
  target.delayAnswers();
  await pass(time, 300);
  target.sendAnswers();
  await pass(time, 300);
  const { p90Us, maxUs } = meter.end();
  await load.stop();
  t.ok(p90Us < 100_000, `p90 ${p90Us} us`);
  t.ok(maxUs > 250_000, `max ${maxUs} us`);
});

t.test('a lasting load counts a reset stream by its code, and opens another', async (t) => {
  const target = await startEcho(t);
  const meter = new Meter();
  const load = await startLoad(echoOrder(target.address, { isLasting: true }), meter);
  await load.running;
  meter.begin();
  target.resetAll();
  await eventually('an operation', () => meter.operations > 0);
  const report = meter.end();
  await load.stop();
  t.equal(report.failures, 2);
  t.match(report.failuresByCode, { stream_lost: { count: 2 } });
});

t.test('a late answer is a timeout, and its stream is replaced', async (t) => {
  const { time, target, meter, load } = await startMeasured(t, { isLasting: true, timeoutMs: 300 });
  target.delayAnswers();
  await eventually('a failure', async () => {
    await time.advance(50);
    return meter.sample().failures > 0;
  });
  const report = meter.end();
  await load.stop();
  t.match(report.failuresByCode, { timeout: { example: /300 ms/ } });
});

t.test('a load that is not lasting fails with the first error', async (t) => {
  const refused = await reserveRefusedPort();
  t.teardown(() => refused.close());
  const { host, port } = refused;
  const load = await startLoad(echoOrder({ host, port }), new Meter());
  await t.rejects(load.running, { code: 'proxy_unreachable' });
  await load.stop();
});
