import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type ConnectReply, connectThrough, eventually, startEchoTarget } from '@fairlead/testkit';
import { controlTime, passTime } from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';
import { loopback, startServer, type TestServer } from '../support/fleet.ts';
import { startAgent, testPki, tlsOf } from './fixture.ts';
import { rawAgent } from './raw-agent.ts';
import { untilClosed } from './until-closed.ts';

const pki = await testPki();
const node = await pki.agent({ name: 'node' });

/** Opens a stream through the server and closes it after the test. */
async function open(
  t: Test,
  via: Parameters<typeof connectThrough>[0]['via'],
  target: string,
): Promise<ConnectReply> {
  const reply = await connectThrough({ via, target });
  t.teardown(() => {
    reply.socket.destroy();
  });
  return reply;
}

const limitReached = { status: 503, headers: { 'fairlead-error': 'limit_reached' } };

async function echoes(socket: Socket, text: string): Promise<boolean> {
  socket.write(text);
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  return String(chunk) === text;
}

const reached = (server: TestServer, limit: string) =>
  server.metric('fairlead_server_limit_reached_total', `{limit="${limit}"}`);

async function startEcho(t: Test): Promise<string> {
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  return `${loopback}:${target.port}`;
}

t.test('--max-streams-per-tunnel: the next stream uses another agent', async (t) => {
  const target = await startEcho(t);
  const server = await startServer(t, { maxStreamsPerTunnel: 2 });
  await startAgent(t, server, node, { agentId: 'one' });
  await server.log.line('agent connected');
  const streams = [await open(t, server.uds, target), await open(t, server.uds, target)];
  const refused = await open(t, server.uds, target);
  t.match(refused, limitReached);
  t.match(refused.body, /^the tunnel has 2 streams already \(limit_reached at the server, /);
  t.equal(await reached(server, 'streams_per_tunnel'), 1);

  await startAgent(t, server, node, { agentId: 'two' });
  await server.log.line('agent connected', ({ agent }) => agent === 'two');
  for (const _ of streams) t.equal((await open(t, server.uds, target)).status, 200);
  t.match(await open(t, server.uds, target), limitReached);
  for (const { socket } of streams) t.ok(await echoes(socket, 'intact'));
});

t.test('an agent refuses streams beyond its own --max-streams-per-tunnel', async (t) => {
  const target = await startEcho(t);
  const server = await startServer(t);
  await startAgent(t, server, node, { maxStreamsPerTunnel: 1 });
  await server.log.line('agent connected');
  const first = await open(t, server.uds, target);
  t.match(await open(t, server.uds, target), limitReached);
  t.ok(await echoes(first.socket, 'intact'));
  first.socket.destroy();
  await server.log.line('stream', ({ bytesToClient }) => bytesToClient === 6);
  t.equal((await open(t, server.uds, target)).status, 200, 'a new stream is accepted');
});

t.test('--max-streams-per-caller does not affect other callers', async (t) => {
  const target = await startEcho(t);
  const server = await startServer(t, { maxStreamsPerCaller: 2 });
  await startAgent(t, server, node);
  await server.log.line('agent connected');
  const streams = [await open(t, server.tcp, target), await open(t, server.tcp, target)];
  const refused = await open(t, server.tcp, target);
  t.match(refused, limitReached);
  t.match(refused.body, /^the caller already has 2 streams/);
  t.equal(await reached(server, 'streams_per_caller'), 1);
  const other = await pki.client({ name: 'other' });
  const via = { ...server.tcp, tls: tlsOf(pki, other) };
  t.equal((await open(t, via, target)).status, 200, 'another caller');
  t.equal((await open(t, server.uds, target)).status, 200, 'the socket');
  for (const { socket } of streams) t.ok(await echoes(socket, 'intact'));
});

t.test('--max-streams limits all streams of the server', async (t) => {
  const target = await startEcho(t);
  const server = await startServer(t, { maxStreams: 2 });
  await startAgent(t, server, node);
  await server.log.line('agent connected');
  const streams = [await open(t, server.tcp, target), await open(t, server.uds, target)];
  t.match(await open(t, server.uds, target), limitReached);
  t.equal(await reached(server, 'streams'), 1);
  for (const { socket } of streams) t.ok(await echoes(socket, 'intact'));
});

t.test('--max-pending-dials does not count open streams', async (t) => {
  const server = await startServer(t, { maxPendingDials: 2 });
  const agent = await rawAgent(t, server, node, {}, (stream) => {
    if (stream.target.host !== 'silent') stream.accept();
  });
  await server.log.line('agent connected');
  for (let index = 0; index < 4; index++) {
    t.equal((await open(t, server.uds, 'fine:1')).status, 200);
  }
  const waiting = Promise.all([open(t, server.uds, 'silent:1'), open(t, server.tcp, 'silent:1')]);
  await eventually('the agent is asked for two more dials', () => agent.offered.length === 6);
  t.match(await open(t, server.uds, 'fine:1'), limitReached);
  t.equal(await reached(server, 'pending_dials'), 1);
  for (const stream of agent.offered.slice(4)) stream.accept();
  t.same(
    (await waiting).map(({ status }) => status),
    [200, 200],
  );
  t.equal((await open(t, server.uds, 'fine:1')).status, 200);
});

t.test('--max-opens-per-second limits each caller', async (t) => {
  const target = await startEcho(t);
  const server = await startServer(t, { maxOpensPerSecond: 1 });
  await startAgent(t, server, node);
  await server.log.line('agent connected');
  // With the real clock, a slow machine would refill the limit.
  const time = controlTime(t);
  const first = await open(t, server.tcp, target);
  t.equal((await open(t, server.tcp, target)).status, 200, 'a burst of two');
  t.match(await open(t, server.tcp, target), limitReached);
  t.equal(await reached(server, 'opens_per_caller'), 1);
  t.equal((await open(t, server.uds, target)).status, 200, 'another caller');
  t.ok(await echoes(first.socket, 'intact'));
  await time.advance(1_000);
  t.equal((await open(t, server.tcp, target)).status, 200, 'one more a second later');
  t.match(await open(t, server.tcp, target), limitReached);
});

t.test('--max-handshakes closes the connections that have waited longest', async (t) => {
  const target = await startEcho(t);
  const server = await startServer(t, { maxHandshakes: 20 });
  const { agentPort } = server;
  const silent = Array.from({ length: 100 }, (_, index) => {
    const socket = connect({
      host: loopback,
      port: index % 2 === 0 ? agentPort : server.tcp.port,
    });
    t.teardown(() => {
      socket.destroy();
    });
    return { socket, closed: untilClosed(socket) };
  });
  await Promise.all(silent.map(({ socket }) => once(socket, 'connect')));
  await Promise.any(silent.map(({ closed }) => closed));
  await startAgent(t, server, node);
  await server.log.line('agent connected');
  const stream = await open(t, server.tcp, target);
  t.equal(stream.status, 200);
  t.ok(await echoes(stream.socket, 'intact'));
  const closedHandshakes = () => reached(server, 'handshakes');
  await eventually('80 handshakes are closed', async () => (await closedHandshakes()) >= 80);
  t.ok((await server.metric('fairlead_server_pending_handshakes')) <= 20);
  for (const { socket } of silent) socket.destroy();
  await Promise.all(silent.map(({ closed }) => closed));
  await eventually('no handshake is pending', async () => {
    return (await server.metric('fairlead_server_pending_handshakes')) === 0;
  });
  t.ok(await echoes(stream.socket, 'still open'));
});

/** Starts a target that sends more at once than all socket buffers on the way can hold. */
async function startFlood(t: Test): Promise<string> {
  const flood = Buffer.alloc(2 ** 25);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.write(flood);
  });
  server.listen(0, loopback);
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `${loopback}:${(server.address() as AddressInfo).port}`;
}

t.test(
  '--max-process-window: at the cap new streams are refused, and above it the largest stalled stream is reset',
  async (t) => {
    const [target, source] = [await startEcho(t), await startFlood(t)];
    const kib = 1024;
    const cap = 1024 * kib;
    const server = await startServer(t, {
      maxStreamWindow: 64 * kib,
      maxTunnelWindow: 64 * kib,
      maxProcessWindow: cap,
    });
    await startAgent(t, server, node);
    await server.log.line('agent connected');
    const healthy = await open(t, server.uds, target);
    t.ok(await echoes(healthy.socket, 'before'));
    const bufferedBytes = () => server.metric('fairlead_server_buffered_bytes');
    const resets = () =>
      server.metric('fairlead_server_stream_ends_total', '{code="memory_limit"}');
    // Clients that do not read: the server buffers more than half a window for each.
    const stalled: ConnectReply[] = [];
    let refused: ConnectReply | undefined;
    while (!refused) {
      const reply = await open(t, server.tcp, source);
      if (reply.status !== 200) refused = reply;
      else stalled.push(reply);
      const expected = Math.min(32 * kib * stalled.length, (cap * 7) / 8);
      await eventually(
        `${expected} bytes are buffered`,
        async () => (await bufferedBytes()) >= expected,
      );
      // The windows of more streams would exceed the cap.
      if (stalled.length === cap / (64 * kib)) {
        t.equal(await resets(), 0, 'below the cap nothing is reset');
      }
    }
    t.match(refused, { status: 503, headers: { 'fairlead-error': 'memory_limit' } });
    t.ok((await bufferedBytes()) <= cap);
    t.ok(await echoes(healthy.socket, 'during'), 'a healthy stream continues');

    for (const { socket } of stalled.splice(0)) socket.destroy();
    await eventually('no bytes are buffered', async () => (await bufferedBytes()) === 0);
    const resetsBefore = await resets();
    // Twice as many at once: all are accepted, since no bytes are buffered yet.
    const many = Array.from({ length: 64 }, () => open(t, server.tcp, source));
    stalled.push(...(await Promise.all(many)));
    await eventually('a stream is reset', async () => (await resets()) > resetsBefore);
    t.ok((await bufferedBytes()) <= cap);
    t.ok(await echoes(healthy.socket, 'after'), 'only stalled streams are reset');
    t.same(server.log.of('agent disconnected'), [], 'the tunnel stays connected');
    for (const { socket } of stalled) socket.destroy();
    await eventually('no bytes are buffered', async () => (await bufferedBytes()) === 0);
    t.equal((await open(t, server.uds, target)).status, 200, 'a new stream is accepted');
  },
);

t.test('--max-tunnel-bandwidth is the rate of a tunnel in both directions', async (t) => {
  const time = controlTime(t);
  const target = await startEcho(t);
  const rate = 1024 ** 2;
  const server = await startServer(t, { maxTunnelBandwidth: rate });
  await startAgent(t, server, node, { agentId: 'one' });
  await server.log.line('agent connected');
  const [one, two] = [await open(t, server.uds, target), await open(t, server.uds, target)];
  const startedAtMs = performance.now();
  const bytes = 400 * 1024;
  const echoed = Promise.all([echoBytes(one.socket, bytes), echoBytes(two.socket, bytes)]);
  // Each ms has enough ticks for a byte to pass all sockets to the target and back.
  await passTime(time, 'all bytes are echoed', echoed, { stepMs: 1, ticks: 16 });
  const tookMs = performance.now() - startedAtMs;
  // The bytes of a tenth of a second can be sent at once.
  const leastMs = (1000 * (2 * bytes - 0.1 * rate - 2 * 65_536)) / rate;
  t.ok(tookMs >= leastMs, `${tookMs} ms, at least ${leastMs} ms`);
  const mostMs = (1.25 * 1000 * 2 * bytes) / rate;
  t.ok(tookMs <= mostMs, `${tookMs} ms, at most ${mostMs} ms`);
  t.ok(await echoes(one.socket, 'still open'));
});

/** Sends bytes and waits for their echo. @throws Error if the echo differs */
async function echoBytes(socket: Socket, total: number): Promise<void> {
  const sent = Buffer.from(Array.from({ length: total }, (_, index) => index % 251));
  const chunks: Buffer[] = [];
  const done = new Promise<void>((resolve) => {
    let received = 0;
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      received += chunk.length;
      if (received < total) return;
      socket.off('data', onData);
      resolve();
    };
    socket.on('data', onData);
  });
  socket.write(sent);
  await done;
  if (!Buffer.concat(chunks).equals(sent)) throw new Error('the echo differs');
}
