import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { createConnection, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { CONNECT_METHOD, PROXY_METHOD } from '@fairlead/konnectivity';
import { encodePacket } from '@fairlead/konnectivity/internal';
import { connectThrough, eventually, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { loopback, startServer, type TestServer } from '../support/fleet.ts';
import { startAgent, testPki } from './fixture.ts';
import { rawAgent } from './raw-agent.ts';
import {
  Http2Frame,
  http2Frame,
  http2Greeting,
  http2Request,
  http2Reset,
  openSocket,
} from './raw-http2.ts';
import { untilClosed } from './until-closed.ts';

const MiB = 1024 ** 2;
const cap = 16 * MiB;
const pki = await testPki();
const node = await pki.agent({ name: 'node' });
const caps = { maxStreamWindow: 65_536, maxTunnelWindow: 65_536, maxProcessWindow: cap };

const bufferedBytes = ({ metric }: TestServer) => metric('fairlead_server_buffered_bytes');

/** Connects to the Unix domain socket and sends these frames. The connection is closed after the test. */
async function client(t: Test, server: TestServer, frames: Buffer) {
  const socket = await openSocket(server.uds.path);
  t.teardown(() => {
    socket.destroy();
  });
  socket.write(Buffer.concat([http2Greeting(), frames]));
  return socket;
}

const connectTo = (streamId: number, authority: string): Buffer =>
  http2Request(streamId, { ':method': 'CONNECT', ':authority': authority });

/** DATA frames of the maximum size on one stream. */
function data(streamId: number, bytes: number): Buffer {
  const payload = Buffer.alloc(16_384);
  return Buffer.concat(
    Array.from({ length: bytes / payload.length }, () =>
      http2Frame(Http2Frame.DATA, 0, streamId, payload),
    ),
  );
}

/** Buffered bytes are released, and a new stream works. */
async function hasRecovered(t: Test, server: TestServer): Promise<void> {
  await eventually('no bytes are buffered', async () => (await bufferedBytes(server)) === 0);
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  await startAgent(t, server, node, { agentId: 'healthy' });
  await server.log.line('agent connected', ({ agent }) => agent === 'healthy');
  const reply = await connectThrough({ via: server.uds, target: `${loopback}:${echo.port}` });
  t.equal(reply.status, 200);
  reply.socket.destroy();
}

t.test('bytes before the end of the dial count against the memory limit', async (t) => {
  const server = await startServer(t, caps);
  // This agent does not answer dials.
  const agent = await rawAgent(t, server, node);
  await server.log.line('agent connected');
  const ids = Array.from({ length: 48 }, (_, index) => 2 * index + 1);
  const requests = ids.map((id) => connectTo(id, 'silent:1'));
  // Each stream fills its HTTP/2 window, together three times the cap.
  const socket = await client(t, server, Buffer.concat(requests));
  for (const id of ids) socket.write(data(id, MiB));
  socket.resume();
  await server.log.line('stream', ({ end }) => end === 'memory_limit');
  t.ok((await bufferedBytes(server)) <= cap, `${await bufferedBytes(server)} bytes`);
  t.ok(server.log.of('stream').length < ids.length, 'other streams stay open');
  socket.destroy();
  agent.session.close();
  await hasRecovered(t, server);
});

t.test('bytes that a client does not read wait at the agent', async (t) => {
  const server = await startServer(t, caps);
  const flood = Buffer.alloc(65_536);
  const agent = await rawAgent(t, server, node, {}, (stream) => {
    const send = () => {
      while (!stream.isClosed && stream.write(flood));
    };
    stream.accept();
    stream.attach({ onData() {}, onEnd() {}, onDrain: send, onClose() {} });
    send();
  });
  await server.log.line('agent connected');
  const sockets = [];
  for (let index = 0; index < 4; index++) {
    sockets.push(await client(t, server, connectTo(1, 'flood:1')));
  }
  await eventually('the streams wait for their clients', async () => {
    const isWaiting = agent.offered.every(({ pendingBytes }) => pendingBytes > 0);
    return agent.offered.length === 4 && isWaiting && (await bufferedBytes(server)) > 4 * 200_000;
  });
  t.ok((await bufferedBytes(server)) < 4 * MiB, `${await bufferedBytes(server)} bytes`);
  t.equal(server.log.of('stream').length, 0, 'no stream is reset');
  for (const socket of sockets) socket.destroy();
  agent.session.close();
  await hasRecovered(t, server);
});

t.test('answers to a gRPC agent that does not read are bounded', async (t) => {
  const server = await startServer(t, caps);
  const socket = connectTls({
    host: loopback,
    port: server.agentPort,
    servername: 'localhost',
    ca: pki.agentCa.certPem,
    cert: node.certPem,
    key: node.keyPem,
    ALPNProtocols: ['h2'],
  });
  socket.on('error', () => {});
  t.teardown(() => {
    socket.destroy();
  });
  await once(socket, 'secureConnect');
  const call = http2Request(1, {
    ':method': 'POST',
    ':scheme': 'https',
    ':path': CONNECT_METHOD,
    ':authority': 'localhost',
    'content-type': 'application/grpc',
    agentid: 'hostile',
  });
  // A window of 0 for all that the server sends.
  const noWindow = http2Frame(Http2Frame.SETTINGS, 0, 0, Buffer.from('000400000000', 'hex'));
  socket.write(Buffer.concat([http2Greeting(), noWindow, call]));
  await server.log.line('agent connected');
  // Each names a connection that does not exist, so the server answers with a close.
  let random = 0n;
  const closed = untilClosed(socket);
  const isEnded = () => server.log.of('agent disconnected').length > 0;
  while (!isEnded() && random < 400_000n) {
    const packets: Buffer[] = [];
    for (let bytes = 0; bytes < 16_000; bytes += packets.at(-1)!.length) {
      random += 1n;
      packets.push(encodePacket({ type: 'DIAL_RSP', random, connectId: random, error: '' }));
    }
    const frame = http2Frame(Http2Frame.DATA, 0, 1, Buffer.concat(packets));
    if (socket.write(frame)) continue;
    const drained = new Promise((resolve) => socket.once('drain', resolve));
    await Promise.race([drained, closed]);
  }
  t.match(await server.log.line('agent disconnected'), { reason: /does not read/ });
  t.ok(random < 400_000n);
});

t.test('the first message of a gRPC client has a small size limit', async (t) => {
  const server = await startServer(t, caps);
  const session = connectHttp2('http://localhost', {
    createConnection: () => createConnection(server.uds.path),
  });
  t.teardown(() => session.destroy());
  const call = session.request(
    { ':method': 'POST', ':path': PROXY_METHOD, 'content-type': 'application/grpc' },
    { endStream: false },
  );
  // The header of a message of 4 MiB.
  call.write(Buffer.from('0000400000', 'hex'));
  call.resume();
  const [trailers] = await once(call, 'trailers');
  t.match(trailers, { 'grpc-status': '8', 'grpc-message': /4194304 bytes is too long/ });
});

t.test('the agent port closes HTTP/2 connections without a certificate', async (t) => {
  const server = await startServer(t, { headTimeout: 200 });
  const { agentPort: port } = server;
  const open = async () => {
    const socket = connectTls({
      host: loopback,
      port,
      servername: 'localhost',
      ca: pki.agentCa.certPem,
      ALPNProtocols: ['h2'],
      allowHalfOpen: true,
    } as object);
    socket.on('error', () => {});
    t.teardown(() => {
      socket.destroy();
    });
    await once(socket, 'secureConnect');
    return socket;
  };
  const silent = await open();
  silent.write(http2Greeting());
  const asking = await open();
  const post = { ':method': 'POST', ':scheme': 'https', ':path': '/', ':authority': 'x' };
  asking.write(Buffer.concat([http2Greeting(), http2Request(1, post), http2Request(3, post)]));
  // Neither client reads or closes: the server closes both.
  const pending = () => server.metric('fairlead_server_pending_handshakes');
  t.equal(await pending(), 2);
  await eventually('both connections are closed', async () => (await pending()) === 0);
});

/** Opens an HTTP/2 connection that does not read. */
async function openUnread(t: Test, options: ConnectionOptions): Promise<Socket> {
  const socket = connectTls({ ...options, servername: 'localhost', ALPNProtocols: ['h2'] });
  socket.on('error', () => {}).pause();
  t.teardown(() => {
    socket.destroy();
  });
  await once(socket, 'secureConnect');
  socket.write(http2Greeting());
  return socket;
}

/** Sends until the server stops reading or closes the connection. @returns the bytes that were sent */
async function pushUnread(socket: Socket, frames: Buffer): Promise<number> {
  const closed = untilClosed(socket).then(() => false);
  let sent = 0;
  while (!socket.destroyed && sent <= 512 * MiB) {
    sent += frames.length;
    if (socket.write(frames)) continue;
    const drained = new Promise<true>((resolve) => socket.once('drain', () => resolve(true)));
    const stuck = new AbortController();
    const isStuck = pause(1_000, false, { signal: stuck.signal });
    const canSend = await Promise.race([drained, closed, isStuck]);
    stuck.abort();
    await isStuck.catch(() => undefined);
    if (!canSend) break;
  }
  return sent;
}

const frameOf = (type: number, payload: string): Buffer =>
  http2Frame(type, 0, 0, Buffer.from(payload, 'hex'));

for (const [name, frame] of [
  ['SETTINGS', frameOf(Http2Frame.SETTINGS, '000100000000000100010000')],
  ['PING', frameOf(Http2Frame.PING, '0000000000000000')],
] as const) {
  const frames = Buffer.concat(Array.from({ length: 1000 }, () => frame));

  t.test(`the server stops reading an unauthenticated flood of ${name}`, async (t) => {
    const server = await startServer(t, caps);
    const { agentPort: port } = server;
    const socket = await openUnread(t, { host: loopback, port, ca: pki.agentCa.certPem });
    const sent = await pushUnread(socket, frames);
    // The socket buffers of both ends, and a margin.
    t.ok(sent < 32 * MiB, `${sent} bytes`);
    t.ok((await bufferedBytes(server)) <= MiB, `${await bufferedBytes(server)} bytes are buffered`);
  });

  t.test(`the memory of a client that sends ${name} and does not read is bounded`, async (t) => {
    const server = await startServer(t, { ...caps, maxProcessWindow: 64 * MiB });
    await rawAgent(t, server, node, {}, (stream) => stream.accept());
    await server.log.line('agent connected');
    const { host, port, tls } = server.tcp;
    const socket = await openUnread(t, { host, port, ...tls });
    socket.write(connectTo(1, 'open:1'));
    const before = process.memoryUsage().rss;
    const sent = await pushUnread(socket, frames);
    t.ok(sent < 256 * MiB, `${sent} bytes`);
    t.ok((await bufferedBytes(server)) < 2 * MiB, `${await bufferedBytes(server)} bytes`);
    const grownBytes = process.memoryUsage().rss - before;
    // Client and server share this process, so this includes garbage of the client.
    t.ok(grownBytes < 96 * MiB, `${Math.round(grownBytes / MiB)} MiB more`);
    socket.resume();
    await eventually('the connection is closed', () => socket.closed);
    await hasRecovered(t, server);
  });
}

t.test('the server closes the connection of a client that resets too many streams', async (t) => {
  const server = await startServer(t);
  const resets = (from: number, count: number) =>
    Buffer.concat(
      Array.from({ length: count }, (_, index) => {
        const id = 2 * (from + index) + 1;
        return Buffer.concat([connectTo(id, 'a:1'), http2Reset(id)]);
      }),
    );
  // The first number causes a GOAWAY of the server, the second one of nghttp2. Neither client reads or closes.
  const polite = await client(t, server, resets(0, 900));
  const rude = await client(t, server, resets(0, 20_000));
  const closed = [polite, rude].map((socket) => {
    const pushing = setInterval(() => {
      if (socket.writable) socket.write(resets(30_000, 1));
    }, 10);
    t.teardown(() => clearInterval(pushing));
    return untilClosed(socket);
  });
  await Promise.all(closed);
  t.pass('the server closes both');
});
