import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { createConnection, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { PROXY_METHOD } from '@fairlead/konnectivity';
import { encodePacket } from '@fairlead/konnectivity/internal';
import {
  Http2Frame,
  http2Frame,
  http2Greeting,
  http2Request,
  http2Reset,
} from '../security/raw-http2.ts';
import { type AttackRun, openPlain, requestStream, write } from './attack-run.ts';

/** Sends HTTP/2 frames for increasing stream IDs, on a new connection if the server closes the old one. */
function http2Flood(framesOf: (streamId: number) => Buffer, streamsAtOnce = 500) {
  return async (run: AttackRun): Promise<void> => {
    while (!run.isOver()) {
      const socket = await openPlain(run.server.udsPath);
      socket.write(http2Greeting());
      for (let id = 1; id < 2 ** 30 && !run.isOver() && !socket.destroyed; ) {
        const frames: Buffer[] = [];
        for (let index = 0; index < streamsAtOnce; index++, id += 2) frames.push(framesOf(id));
        await write(socket, Buffer.concat(frames));
        run.count += streamsAtOnce;
      }
      socket.destroy();
    }
  };
}

/** If a write is pending for this long, the server has stopped reading. */
const stuckMs = 250;

/**
 * Sends frames to the agent port without a certificate and without reading. When the server stops reading a
 * connection, opens the next one.
 */
function unreadFlood(frame: Buffer, framesAtOnce = 500) {
  const frames = Buffer.concat(Array.from({ length: framesAtOnce }, () => frame));
  return async (run: AttackRun): Promise<void> => {
    const { agentPort, agentTls } = run.server;
    const sockets: Socket[] = [];
    while (!run.isOver()) {
      const socket = connectTls({
        ...{ host: '127.0.0.1', port: agentPort, servername: 'localhost', ca: agentTls.ca },
        ALPNProtocols: ['h2'],
      });
      socket.on('error', () => {}).pause();
      sockets.push(socket);
      socket.write(http2Greeting());
      let isStuck = false;
      while (!run.isOver() && !socket.destroyed && !isStuck) {
        const stuck = new Promise<true>((resolve) => setTimeout(resolve, stuckMs, true));
        isStuck = await Promise.race([write(socket, frames).then(() => false), stuck]);
        run.count += framesAtOnce;
      }
    }
    for (const socket of sockets) socket.destroy();
  };
}

const grpcCall = {
  ':method': 'POST',
  ':scheme': 'http',
  ':path': PROXY_METHOD,
  ':authority': 'localhost',
  'content-type': 'application/grpc',
};

function rapidResets(authority: string, resetsOfEach = 1) {
  const request = { ':method': 'CONNECT', ':authority': authority };
  return (id: number) => {
    const resets = Array.from({ length: resetsOfEach }, () => http2Reset(id));
    return Buffer.concat([http2Request(id, request), ...resets]);
  };
}

function rapidGrpcResets(address: string) {
  const dial = encodePacket({ type: 'DIAL_REQ', protocol: 'tcp', address, random: 1n });
  return (id: number) =>
    Buffer.concat([
      http2Request(id, grpcCall),
      http2Frame(Http2Frame.DATA, 0, id, dial),
      http2Reset(id),
    ]);
}

const addressesOf = (run: AttackRun) => ({
  'agent port': run.server.agentPort,
  'front end, TCP': run.server.frontEndPort,
  'front end, UDS': run.server.udsPath,
  'health port': run.server.healthPort,
  'admin port': run.server.adminPort,
});

/** The first bytes of a client of each port. */
const firstBytes = {
  'agent port': Buffer.from('16030102000100', 'hex'),
  'front end, TCP': Buffer.from('16030102000100', 'hex'),
  'front end, UDS': Buffer.from('CONNECT a:1 HTT'),
  'health port': Buffer.from('GET /healthz HT'),
  'admin port': Buffer.from('GET /metrics HT'),
};

/** Keeps 400 connections open on each port, and sends one byte on each from time to time. */
async function slowLoris(run: AttackRun): Promise<void> {
  const addresses = addressesOf(run);
  const sockets = new Map<Socket, { name: keyof typeof addresses; sent: number }>();
  while (!run.isOver()) {
    for (const name of Object.keys(addresses) as (keyof typeof addresses)[]) {
      const have = [...sockets.values()].filter((each) => each.name === name).length;
      const more = await Promise.all(
        Array.from({ length: Math.min(100, 400 - have) }, () => openPlain(addresses[name])),
      );
      for (const socket of more) {
        run.count += 1;
        sockets.set(socket, { name, sent: 0 });
        socket.once('close', () => sockets.delete(socket));
      }
    }
    for (const [socket, state] of sockets) {
      const bytes = firstBytes[state.name];
      if (state.sent < bytes.length) socket.write(bytes.subarray(state.sent, ++state.sent));
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  for (const socket of [...sockets.keys()]) socket.destroy();
}

/** Opens `total` connections on these ports in turn, and sends nothing. */
function silentConnections(
  names: readonly (keyof ReturnType<typeof addressesOf>)[],
  total: number,
) {
  return async (run: AttackRun): Promise<void> => {
    const addresses = addressesOf(run);
    const sockets: Socket[] = [];
    while (!run.isOver() && sockets.length < total) {
      const some = Array.from({ length: Math.min(250, total - sockets.length) }, (_, index) =>
        openPlain(addresses[names[index % names.length]!]),
      );
      sockets.push(...(await Promise.all(some)));
      run.count = sockets.length;
    }
    while (!run.isOver()) await new Promise((resolve) => setTimeout(resolve, 50));
    for (const socket of sockets) socket.destroy();
  };
}

/** Old versions, weak suites, no certificate, and bytes that are not TLS. */
async function weakTls(run: AttackRun): Promise<void> {
  const offers = [
    { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' },
    { maxVersion: 'TLSv1.2', ciphers: 'NULL:RC4:3DES:ADH:AECDH:@SECLEVEL=0' },
    { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA:@SECLEVEL=0' },
    { minVersion: 'TLSv1.3' },
  ] as const;
  while (!run.isOver()) {
    const tries = [run.server.agentPort, run.server.frontEndPort].flatMap((port) => [
      ...offers.map(async (offer) => {
        const options = { host: '127.0.0.1', port, rejectUnauthorized: false, ...offer };
        let socket: Socket;
        try {
          socket = connectTls(options);
        } catch {
          return; // This build of OpenSSL does not support the suite.
        }
        socket.on('error', () => {}).resume();
        socket.setTimeout(3_000, () => socket.destroy());
        await new Promise((resolve) => socket.once('close', resolve));
      }),
      (async () => {
        const socket = await openPlain(port);
        socket.end('SSH-2.0-OpenSSH_9.2\r\n');
        if (!socket.closed) await once(socket, 'close');
      })(),
    ]);
    await Promise.all(tries);
    run.count += tries.length;
  }
}

/** Opens streams and destroys them: before the answer, half-closed, or with unsent bytes. */
async function leaks(run: AttackRun): Promise<void> {
  const kept: Socket[] = [];
  while (!run.isOver()) {
    const opened = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const socket = requestStream(run.server, run.target);
        if (index % 5 > 0) await Promise.race([once(socket, 'data'), once(socket, 'close')]);
        if (index % 5 === 1) socket.end();
        if (index % 5 === 2) socket.write(Buffer.alloc(100_000));
        if (index % 5 === 3) socket.pause().write(Buffer.alloc(300_000));
        return socket;
      }),
    );
    run.count += opened.length;
    kept.push(...opened);
    for (const socket of kept.splice(0, kept.length - 500)) socket.destroy();
  }
  for (const socket of kept) socket.destroy();
}

/** Dials one after the other on one connection, beside a stream that must stay open. */
async function sequentialDials(run: AttackRun): Promise<void> {
  let session = connectHttp2('http://localhost', {
    createConnection: () => createConnection(run.server.udsPath),
  });
  const connections = [session];
  let random = 0n;
  const dial = async () => {
    if (session.closed || session.destroyed) {
      // After GOAWAY, open calls continue, and new ones need a new connection.
      session = connectHttp2('http://localhost', {
        createConnection: () => createConnection(run.server.udsPath),
      });
      connections.push(session);
    }
    random += 1n;
    const { ':scheme': _, ':authority': __, ...headers } = grpcCall;
    const call = session.request(headers, { endStream: false });
    call.write(encodePacket({ type: 'DIAL_REQ', protocol: 'tcp', address: run.target, random }));
    await once(call, 'data');
    return call;
  };
  const openCall = await dial();
  let isCut = false;
  openCall.once('close', () => {
    isCut = true;
  });
  while (!run.isOver()) {
    const call = await dial();
    call.on('error', () => {});
    call.close(8);
    run.count += 1;
    if (isCut) throw new Error(`the open stream ended after ${run.count} dials`);
  }
  for (const each of connections) each.destroy();
}

const settingsFrame = http2Frame(Http2Frame.SETTINGS, 0, 0, Buffer.alloc(0));
const pingFrame = http2Frame(Http2Frame.PING, 0, 0, Buffer.alloc(8));

/** Attacks by clients and by unauthenticated peers, by name. */
export const clientAttacks: Readonly<Record<string, (run: AttackRun) => Promise<void>>> = {
  'rapid reset, HTTP/2 CONNECT': (run) => http2Flood(rapidResets(run.target))(run),
  // nghttp2 counts all resets, node:http2 reports one for each stream.
  'rapid reset, each repeated': (run) => http2Flood(rapidResets(run.target, 20))(run),
  'rapid reset, gRPC': (run) => http2Flood(rapidGrpcResets(run.target), 100)(run),
  'HTTP/2 PING flood': http2Flood(() => pingFrame),
  'HTTP/2 SETTINGS flood': http2Flood(() => settingsFrame),
  'HTTP/2 PINGs, answers unread': unreadFlood(pingFrame),
  'HTTP/2 SETTINGS, answers unread': unreadFlood(settingsFrame),
  'slow-loris on five ports': slowLoris,
  '15,000 silent connections': silentConnections(['agent port', 'front end, TCP'], 15_000),
  '15,000 silent connections, UDS': silentConnections(['front end, UDS'], 15_000),
  'weak and broken TLS': weakTls,
  'streams opened and leaked': leaks,
  'gRPC dials in a row': sequentialDials,
};
