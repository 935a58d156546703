/** Connections that send nothing, or half a message, are closed at the deadline of their port. */
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { connectHead, openFrontEnd, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { authority, clientKinds, echoLine, inTime, openClient } from './clients.ts';
import { loopback, type Service, startService, testPki } from './fixture.ts';

/** Longer than the default, 10 s, so that a port that ignores its flag closes too early. */
const handshakeTimeoutMs = 11_000;
const headTimeoutMs = 12_000;
/** Fixed on the health and admin ports, which check it once a second. */
const adminHeadTimeoutMs = 5_000;

/** Node's timers count whole milliseconds, from the start of the event loop's tick. */
const timerErrorMs = 50;

const http2Preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** A connection that stops sending: how to open it, its only bytes, and its deadline. */
interface SilentConnection {
  open(): Promise<Socket>;
  readonly bytes?: string | Buffer;
  readonly deadlineMs: number;
}

/**
 * Measures how long the peer keeps the connection open; our side does not close it. The clock starts before
 * the peer's, so the result is never too short.
 */
async function closedAfterMs(name: string, { open, bytes }: SilentConnection): Promise<number> {
  const startedAtMs = performance.now();
  const socket = await open();
  socket.on('error', () => {});
  if (bytes !== undefined) socket.write(bytes);
  socket.resume();
  const closed = Promise.race([once(socket, 'end'), once(socket, 'close')]);
  await inTime(`${name}: the connection is closed`, closed);
  const elapsedMs = performance.now() - startedAtMs;
  socket.destroy();
  return elapsedMs;
}

async function openTcp(port: number): Promise<Socket> {
  const socket = connectTcp({ host: loopback, port, allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

/** The first bytes that a TLS client sends, cut in half. */
async function halfClientHello(): Promise<Buffer> {
  const server = createServer().listen(0, loopback);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connectTls({ host: loopback, port });
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  server.close();
  return hello.subarray(0, hello.length / 2);
}

async function silentConnections({
  server,
  agent,
}: Service): Promise<Record<string, SilentConnection>> {
  const pki = await testPki();
  const toAgentPort = (protocol: string) => async () => {
    const { client } = pki.agent;
    const socket = connectTls({
      ...{ host: loopback, port: server.agentPort, ALPNProtocols: [protocol] },
      ...{ ca: pki.agent.ca, cert: client.cert, key: client.key },
    });
    await once(socket, 'secureConnect');
    return socket;
  };
  const halfHead = connectHead('127.0.0.1:443').slice(0, 30);
  const halfGet = 'GET /healthz HTTP/1.1\r\nHost: a';
  const hello = await halfClientHello();
  const connections: Record<string, SilentConnection> = {};
  const add = (
    name: string,
    deadlineMs: number,
    open: SilentConnection['open'],
    bytes?: string | Buffer,
  ) => {
    connections[name] = { open, deadlineMs, ...(bytes !== undefined && { bytes }) };
  };

  for (const [name, port] of [
    ['front end', server.tcp.port] as const,
    ['agent port', server.agentPort] as const,
  ]) {
    add(`${name}: no byte`, handshakeTimeoutMs, () => openTcp(port));
    add(`${name}: half a ClientHello`, handshakeTimeoutMs, () => openTcp(port), hello);
  }
  add('front end: no byte after the TLS handshake', headTimeoutMs, () => openFrontEnd(server.tcp));
  add('front end: half a head', headTimeoutMs, () => openFrontEnd(server.tcp), halfHead);
  add('front end: no byte in h2', headTimeoutMs, () => openFrontEnd(server.tcp, 'h2'));
  add(
    'front end: only a preface',
    headTimeoutMs,
    () => openFrontEnd(server.tcp, 'h2'),
    http2Preface,
  );
  add('UDS: no byte', headTimeoutMs, () => openFrontEnd(server.uds));
  add('UDS: half a head', headTimeoutMs, () => openFrontEnd(server.uds), halfHead);
  add(
    'UDS: half a preface',
    headTimeoutMs,
    () => openFrontEnd(server.uds),
    http2Preface.slice(0, 9),
  );
  add('UDS: only a preface', headTimeoutMs, () => openFrontEnd(server.uds), http2Preface);
  add('agent port: no HELLO', handshakeTimeoutMs, toAgentPort('fairlead/1'));
  add('agent port: half a frame', handshakeTimeoutMs, toAgentPort('fairlead/1'), '\x01\x00\x00');
  add('agent port: no byte in HTTP/1.1', headTimeoutMs, toAgentPort('http/1.1'));
  add('agent port: half a head', headTimeoutMs, toAgentPort('http/1.1'), halfGet);
  add('agent port: no byte in h2', headTimeoutMs, toAgentPort('h2'));
  add('agent port: only a preface', headTimeoutMs, toAgentPort('h2'), http2Preface);
  const adminPorts = {
    'health port': server.healthPort,
    'admin port': server.adminPort,
    "agent's health port": agent.healthPort,
    "agent's admin port": agent.adminPort,
  };
  for (const [name, port] of Object.entries(adminPorts)) {
    add(`${name}: no byte`, adminHeadTimeoutMs, () => openTcp(port));
    add(`${name}: half a head`, adminHeadTimeoutMs, () => openTcp(port), halfGet);
  }
  return connections;
}

/** Streams without traffic: the head deadline must not apply to them. */
async function openIdleStreams(t: Test, { server }: Service): Promise<Duplex[]> {
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  return Promise.all(
    clientKinds.map(async (kind) => (await openClient[kind](t, server)).open(authority(echo))),
  );
}

t.test('closes silent connections on every port, and no idle stream', async (t) => {
  const service = await startService(t, {
    server: {
      'handshake-timeout': `${handshakeTimeoutMs}ms`,
      'head-timeout': `${headTimeoutMs}ms`,
    },
  });
  const idleStreams = await openIdleStreams(t, service);
  /** The deadlines, in the order in which the connections were closed. */
  const closed: number[] = [];
  await Promise.all(
    Object.entries(await silentConnections(service)).map(async ([name, connection]) => {
      const elapsedMs = Math.round(await closedAfterMs(name, connection));
      const { deadlineMs } = connection;
      closed.push(deadlineMs);
      const isTimely = elapsedMs > deadlineMs - timerErrorMs;
      t.ok(isTimely, `${name}: closed after ${elapsedMs} ms, deadline ${deadlineMs} ms`);
    }),
  );
  const adminCount = closed.filter((ms) => ms === adminHeadTimeoutMs).length;
  t.equal(
    closed.lastIndexOf(adminHeadTimeoutMs),
    adminCount - 1,
    'the connections with the shortest deadline are closed first',
  );
  for (const stream of idleStreams) await echoLine(stream, 'an idle stream still works\n');
});
