import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import net, { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import tls from 'node:tls';
import { type LoadOrder, Meter, startLoad } from '@fairlead/client/load';
import { eventually } from '@fairlead/testkit';
import {
  type ControlledTime,
  controlTime,
  passTime,
  passTimeUntil,
} from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';

const streams = 4;
const ratePerSecond = 100;

/** Starts an HTTP target that answers all requests at once. */
async function startTarget(
  t: Test,
  listener: RequestListener = (_, response) => response.end('x'),
) {
  const server = createServer(listener);
  let connections = 0;
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { host: '127.0.0.1', port, connections: () => connections };
}

function httpOrder(target: { host: string; port: number }, more: Partial<LoadOrder>): LoadOrder {
  const { host, port } = target;
  const route = { address: { host, port }, by: 'forward', target: { host, port } } as const;
  const order = { kind: 'http', route, streams, tls: false, reconnect: false, isLasting: true };
  return { ...order, ...more } as LoadOrder;
}

/** Starts the load and advances time until it runs. */
async function start(t: Test, time: ControlledTime, order: LoadOrder, meter: Meter) {
  const load = await startLoad(order, meter);
  // autocannon ends at its next tick, and ticks once a second.
  t.teardown(() => time.advance(2000));
  await passTime(time, 'the load runs', load.running, { stepMs: 5, ticks: 4 });
  return load;
}

for (const reconnect of [false, true]) {
  const connections = reconnect ? 'new connections' : 'kept connections';

  t.test(`a load sends at its exact rate, on ${connections}`, async (t) => {
    const time = controlTime(t);
    const target = await startTarget(t);
    const meter = new Meter();
    const order = httpOrder(target, { reconnect, ratePerSecond } as Partial<LoadOrder>);
    const load = await start(t, time, order, meter);
    meter.begin();
    await time.advance(1000);
    await eventually('all due requests are answered', () => meter.operations >= ratePerSecond);
    for (let tick = 0; tick < 50; tick++) await new Promise(setImmediate);
    const { operations, failures } = meter.end();
    await load.stop();
    t.equal(failures, 0);
    // Each stream can have one request in flight when the measurement begins.
    t.ok(operations <= ratePerSecond + streams, `${operations} requests`);
    if (reconnect) t.ok(target.connections() >= operations);
    else t.equal(target.connections(), streams);
  });

  t.test(`a timeout counts from the time a request was due, on ${connections}`, async (t) => {
    const time = controlTime(t);
    let isSilent = false;
    const target = await startTarget(t, (_, response) => {
      if (!isSilent) response.end('x');
    });
    const meter = new Meter();
    // Each stream sends one request in four seconds.
    const more = { reconnect, ratePerSecond: 1, timeoutMs: 500 } as Partial<LoadOrder>;
    const load = await start(t, time, httpOrder(target, more), meter);
    isSilent = true;
    meter.begin();
    await passTime(time, 'almost two seconds', pause(1800), { stepMs: 10, ticks: 4 });
    const { failures, failuresByCode } = meter.end();
    await load.stop();
    t.equal(failures, 1, 'one due request timed out');
    t.match(failuresByCode, { timeout: { count: 1 } });
  });
}

t.test('an incomplete response is one failure', async (t) => {
  const time = controlTime(t);
  let requests = 0;
  const target = await startTarget(t, (_, response) => {
    if (++requests > 1) return response.end('x');
    response.writeHead(200, { 'content-length': 1000 });
    response.write('x');
    return setTimeout(() => response.destroy(), 1);
  });
  const meter = new Meter();
  const load = await start(t, time, httpOrder(target, { streams: 1 }), meter);
  await passTimeUntil(time, 'answers', () => meter.operations > 10, { stepMs: 5, ticks: 4 });
  await load.stop();
  t.ok(meter.end().failures <= 1);
});

t.test('each load of a process has its own route', async (t) => {
  const time = controlTime(t);
  const before = [net.connect, tls.connect];
  const targets = [await startTarget(t), await startTarget(t)];
  const meters = targets.map(() => new Meter());
  const loads = await Promise.all(
    // The name does not resolve, so the request must use the route.
    targets.map(({ host, port }, at) => {
      const route = { address: { host, port }, by: 'forward', target: { host: 'x.invalid', port } };
      const order = httpOrder({ host, port }, { route } as Partial<LoadOrder>);
      return start(t, time, order, meters[at]!);
    }),
  );
  for (const at of loads.keys()) {
    await eventually('answers', () => meters[at]!.operations > 10);
    t.ok(targets[at]!.connections() >= streams);
  }
  t.strictSame([net.connect, tls.connect], before);
  for (const load of loads) await load.stop();
});

t.test('each failed connection is one failure, and pauses grow', async (t) => {
  const time = controlTime(t);
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createTcpServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.resetAndDestroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const meter = new Meter();
  const load = await startLoad(httpOrder({ host: '127.0.0.1', port }, { streams: 1 }), meter);
  t.teardown(() => time.advance(2000));
  await passTime(time, 'ten seconds', pause(10_000), { stepMs: 10, ticks: 8 });
  const { failures } = meter.end();
  await load.stop();
  t.ok(connections >= 5 && connections < 20, `${connections} connections`);
  t.ok(Math.abs(failures - connections) <= 1, `${failures} failures`);
});

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
