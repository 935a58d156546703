import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { createConnection } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { CONNECT_METHOD, PROXY_METHOD } from '@fairlead/konnectivity';
import { encodePacket } from '@fairlead/konnectivity/internal';
import { connectThrough, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { loopback, startAgent, startServer, type TestServer, testPki } from './fixture.ts';
import { rawAgent } from './raw-agent.ts';
import {
  Http2Frame,
  http2Frame,
  http2Greeting,
  http2Request,
  http2Reset,
  openSocket,
} from './raw-http2.ts';

const MiB = 1024 ** 2;
const cap = 16 * MiB;
const pki = await testPki();
const node = await pki.agent({ name: 'node' });
const caps = { maxStreamWindow: 65_536, maxTunnelWindow: 65_536, maxProcessWindow: cap };

const held = ({ metric }: TestServer) => metric('fairlead_server_buffered_bytes');

/** A client of the socket that begins with these frames, gone at the end of the test. */
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

/** DATA frames on one stream, as large as they may be. */
function data(streamId: number, bytes: number): Buffer {
  const payload = Buffer.alloc(16_384);
  return Buffer.concat(
    Array.from({ length: bytes / payload.length }, () =>
      http2Frame(Http2Frame.DATA, 0, streamId, payload),
    ),
  );
}

/** What was held is let go, and streams go through. */
async function isUnhurt(t: Test, server: TestServer): Promise<void> {
  while ((await held(server)) > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  await startAgent(t, server, node, { agentId: 'honest' });
  await server.log.until('agent connected', ({ agent }) => agent === 'honest');
  const reply = await connectThrough({ via: server.uds, target: `${loopback}:${echo.port}` });
  t.equal(reply.status, 200);
  reply.socket.destroy();
}

t.test('bytes that come before a dial is done count: at the cap streams end', async (t) => {
  const server = await startServer(t, caps);
  // It never answers.
  const agent = await rawAgent(t, server, node);
  await server.log.until('agent connected');
  const ids = Array.from({ length: 48 }, (_, index) => 2 * index + 1);
  const requests = ids.map((id) => connectTo(id, 'silent:1'));
  // As much as the window of each stream takes: three times the cap in all.
  const socket = await client(t, server, Buffer.concat(requests));
  for (const id of ids) socket.write(data(id, MiB));
  socket.resume();
  await server.log.until('stream', ({ end }) => end === 'memory_limit');
  t.ok((await held(server)) <= cap, `${await held(server)} bytes`);
  t.ok(server.log.of('stream').length < ids.length, 'the others wait');
  socket.destroy();
  agent.session.close();
  await isUnhurt(t, server);
});

t.test('so do bytes that a client with large windows does not read', async (t) => {
  const server = await startServer(t, caps);
  const flood = Buffer.alloc(65_536);
  const agent = await rawAgent(t, server, node, {}, (stream) => {
    const send = () => {
      while (!stream.isClosed && stream.write(flood));
    };
    stream.accept();
    stream.handler = { onData() {}, onEnd() {}, onDrain: send, onClose() {} };
    send();
  });
  await server.log.until('agent connected');
  const sockets = [];
  for (let index = 0; index < 4; index++) {
    sockets.push(await client(t, server, connectTo(1, 'flood:1')));
  }
  // Each connection holds up to 16 MiB for a client that does not read: one of them alone may.
  await server.log.until('stream', ({ end }) => end === 'client_reset');
  t.ok((await held(server)) <= cap + MiB, `${await held(server)} bytes`);
  for (const socket of sockets) socket.destroy();
  agent.session.close();
  await isUnhurt(t, server);
});

t.test('answers to a gRPC agent that does not read are bounded', async (t) => {
  const server = await startServer(t, caps);
  const socket = connectTls({
    host: loopback,
    port: server.server.addresses.agent.port,
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
  // A window of 0 for whatever the server has to say.
  const noWindow = http2Frame(Http2Frame.SETTINGS, 0, 0, Buffer.from('000400000000', 'hex'));
  socket.write(Buffer.concat([http2Greeting(), noWindow, call]));
  await server.log.until('agent connected');
  // Each names a connection that does not exist, which has to be closed.
  let random = 0n;
  const closed = once(socket, 'close');
  let ended = false;
  void server.log.until('agent disconnected').then(() => {
    ended = true;
  });
  while (!ended && random < 400_000n) {
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
  t.match(await server.log.until('agent disconnected'), { reason: /does not read/ });
  t.ok(random < 400_000n);
});

t.test('a gRPC client has few bytes before it dials', async (t) => {
  const server = await startServer(t, caps);
  const session = connectHttp2('http://localhost', {
    createConnection: () => createConnection(server.uds.path),
  });
  t.teardown(() => session.destroy());
  const call = session.request(
    { ':method': 'POST', ':path': PROXY_METHOD, 'content-type': 'application/grpc' },
    { endStream: false },
  );
  // A message of 4 MiB is on its way, it says.
  call.write(Buffer.from('0000400000', 'hex'));
  call.resume();
  const [trailers] = await once(call, 'trailers');
  t.match(trailers, { 'grpc-status': '8', 'grpc-message': /4194304 bytes is too long/ });
});

t.test('a stranger holds no HTTP/2 connection to the agent port', async (t) => {
  const server = await startServer(t, { headTimeout: 200 });
  const { port } = server.server.addresses.agent;
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
  // Neither reads nor closes: what ends them is the server.
  const pending = () => server.metric('fairlead_server_pending_handshakes');
  t.equal(await pending(), 2);
  while ((await pending()) > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  t.pass('both are gone');
});

t.test('a client that is sent away for its resets does not keep the connection', async (t) => {
  const server = await startServer(t);
  const ids = Array.from({ length: 900 }, (_, index) => 2 * index + 1);
  const resets = ids.map((id) => Buffer.concat([connectTo(id, 'a:1'), http2Reset(id)]));
  // It writes on, reads nothing, and never closes.
  const socket = await client(t, server, Buffer.concat(resets));
  // Writing into what is closed is what it does.
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const more = setInterval(() => socket.write(connectTo(99_999, 'a:1')), 10);
  t.teardown(() => clearInterval(more));
  await closed;
  t.pass('the server closes it');
});
