/** The load generator in Go counts like the one in Node, over each route that it supports. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import {
  findProgram,
  goLoadProgram,
  measures,
  pairings,
  type System,
  Worker,
} from '@fairlead/bench/internal';
import type { Route, TcpAddress } from '@fairlead/client';
import { createLoadTarget, type LoadOrder, Meter, type MeterReport } from '@fairlead/client/load';
import {
  eventually,
  makeTemporaryDirectory,
  reserveRefusedPort,
  sharedTestPki,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';

const bodyBytes = 1024;

t.test('measures with it omit systems that its clients do not support', (t) => {
  const reason = (measure: string, frontEnd?: System['frontEnd']) =>
    measures
      .find(({ name }) => name === measure)
      ?.excludes?.({ ...pairings[0]!, ...(frontEnd === undefined ? {} : { frontEnd }) });
  t.match(reason('open-20-go', 'mtls'), /front end \(mtls\)/);
  t.match(reason('http-close-go', 'http2'), /front end \(http2\)/);
  t.match(reason('open-200-reused'), /not gRPC/);
  t.end();
});

const program = findProgram(goLoadProgram);
if (program === undefined) {
  const skip = `${goLoadProgram} is not built: the load generator in Go was not tested. Run: bench/peers/build-go-peers.sh load`;
  t.pass(skip, { skip });
} else {
  const targets = { echo: await listen('echo'), http: await listen('http') };
  const frontEnd = await startFrontEnd(targets);
  const routes: Record<string, Pick<Route, 'by' | 'address'> & { sharesConnection?: boolean }> = {
    'HTTP CONNECT': { by: 'connect', address: frontEnd },
    'a gRPC connection for each stream': { by: 'grpc', address: frontEnd },
    'one gRPC connection': { by: 'grpc', address: frontEnd, sharesConnection: true },
  };
  for (const [name, { by, address, ...goLoad }] of Object.entries(routes)) {
    await t.test(`over ${name}`, (t) =>
      testKinds(t, (kind) => ({ ...goLoad, route: { by, address, target: targets[kind] } })),
    );
  }
  await t.test('without a tunnel', (t) =>
    testKinds(t, (kind) => ({
      route: { by: 'forward', address: targets[kind], target: targets[kind] },
    })),
  );
  await t.test('counts failures and keeps the first', async (t) => {
    const refused = await reserveRefusedPort();
    t.teardown(() => refused.close());
    const worker = await startWorker(t);
    const target = { host: '127.0.0.1', port: refused.port };
    const order = { route: { by: 'connect', address: frontEnd, target }, kind: 'open', streams: 1 };
    // It does not answer, because no stream carries data.
    worker.call('start', order).catch(() => {});
    const report = await reportWith(worker, 'a failure', ({ failures }) => failures > 0);
    t.equal(report.operations, 0);
    t.equal(report.p50Us, Number.POSITIVE_INFINITY);
    t.match(report.firstFailure, /^the answer is HTTP\/1\.1 50\d /);
    t.match(report.failuresByCode, { error: { example: report.firstFailure } });
  });
  await t.test('refuses an order that it does not support', async (t) => {
    const worker = await startWorker(t);
    const target = targets.echo;
    const order = { kind: 'open', streams: 1, route: { by: 'forward', address: target, target } };
    const unsupported: [object, RegExp][] = [
      [{ ...order, kind: 'echo' }, /kind echo: not supported/],
      [{ ...order, kind: 'http', tls: true }, /kind http: not supported/],
      [{ ...order, ratePerSecond: 1 }, /unknown field "ratePerSecond"/],
      [{ ...order, route: { ...order.route, by: 'http2-connect' } }, /route by http2-connect/],
      [{ ...order, route: { ...order.route, tls: {} } }, /unknown field "tls"/],
    ];
    for (const [argument, message] of unsupported) {
      await t.rejects(worker.call('start', argument), { message });
    }
    await t.rejects(worker.call('pause'), { message: 'no such call: pause' });
  });
}

type Kind = 'echo' | 'http';

async function testKinds(
  t: Test,
  base: (kind: Kind) => Pick<LoadOrder, 'route'> & { sharesConnection?: boolean },
): Promise<void> {
  const http = { ...base('http'), kind: 'http', streams: 4, tls: false };
  const loads: [string, object, number][] = [
    ['open', { ...base('echo'), kind: 'open', streams: 4 }, 1],
    ['HTTP with a connection for each request', { ...http, reconnect: true }, bodyBytes],
    ['HTTP with keep-alive', { ...http, reconnect: false }, bodyBytes],
  ];
  for (const [name, order, bytes] of loads) {
    await t.test(name, async (t) => {
      const worker = await startWorker(t);
      await worker.call('start', order);
      await worker.call('begin');
      const report = await reportWith(worker, 'operations', ({ operations }) => operations > 20);
      t.equal(report.firstFailure, undefined);
      t.equal(report.failures, 0);
      t.equal(report.bytes, report.operations * bytes);
      t.ok(report.elapsedMs > 0);
      t.ok(report.p50Us > 0 && report.p50Us <= report.p99Us && report.p99Us <= report.maxUs);
    });
  }
}

function reportWith(
  worker: Worker,
  what: string,
  isAwaited: (report: MeterReport) => boolean,
): Promise<MeterReport> {
  return eventually(what, async () => {
    const report = await worker.call<MeterReport>('end');
    if (isAwaited(report)) return report;
    throw new Error(JSON.stringify(report));
  });
}

async function startWorker(t: Test): Promise<Worker> {
  const worker = await Worker.startProgram(program!);
  t.teardown(() => worker.close());
  return worker;
}

async function listen(kind: Kind): Promise<TcpAddress> {
  const server = createLoadTarget(kind, new Meter());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // Connections can be open at the end: their clients are killed.
  server.unref();
  server.on('connection', (socket) => socket.unref());
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

/** A server and an agent. The front end accepts HTTP CONNECT and gRPC. */
async function startFrontEnd(addresses: Record<Kind, TcpAddress>): Promise<Route['address']> {
  const directory = await makeTemporaryDirectory();
  const system = pairings.find(({ name }) => name === 'fairlead-grpc')!;
  const running = await system.start({
    targets: new Map(Object.entries(addresses) as [Kind, TcpAddress][]),
    directory: directory.path,
    pki: await sharedTestPki(),
    nodePath: process.execPath,
    nodeArgs: [],
    through: async (address) => address,
  });
  t.teardown(async () => {
    await running.close();
    await directory.close();
  });
  return running.route('echo').address;
}
