import { createConnection, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';

/** The ports of the server under attack, and an agent's credentials. Passed to the attacker's process as JSON. */
export interface AttackedServer {
  readonly udsPath: string;
  readonly frontEndPort: number;
  readonly agentPort: number;
  readonly healthPort: number;
  readonly adminPort: number;
  /** A valid agent certificate. */
  readonly agentTls: { readonly ca: string; readonly cert: string; readonly key: string };
}

/** The state of a running attack. */
export interface AttackRun {
  readonly server: AttackedServer;
  /** The attacker's own echo target, so that its connections load no other program. */
  readonly target: string;
  /** Whether the attack must end. */
  isOver(): boolean;
  /** Number of frames, requests or connections so far. */
  count: number;
}

const loopback = '127.0.0.1';

const HEADER_BYTES = 8;

/** Encodes a frame as in docs/spec.md. */
export function frame(type: number, streamId: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = type;
  header.writeUInt16BE(payload.length, 2);
  header.writeUInt32BE(streamId, 4);
  return Buffer.concat([header, payload]);
}

export function helloFrame(fields: object): Buffer {
  return frame(1, 0, Buffer.from(JSON.stringify({ versions: [1], ...fields })));
}

/** Writes bytes. Resolves when the socket accepts more, or is closed. */
export async function write(socket: Duplex, bytes: Buffer): Promise<void> {
  if (socket.destroyed) return;
  if (socket.write(bytes)) return new Promise((resolve) => setImmediate(resolve));
  await new Promise<void>((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}

/** Opens a tunnel's connection without a frame; undefined if the server refuses it. */
export async function openTunnel(server: AttackedServer): Promise<TLSSocket | undefined> {
  const socket = connectTls({
    host: loopback,
    port: server.agentPort,
    servername: 'localhost',
    ...server.agentTls,
    ALPNProtocols: ['fairlead/1'],
  });
  socket.on('error', () => {});
  return new Promise((resolve) => {
    socket.once('secureConnect', () => resolve(socket));
    socket.once('close', () => resolve(undefined));
  });
}

/** Opens a plain connection whose input is discarded. */
export async function openPlain(address: number | string): Promise<Socket> {
  const socket =
    typeof address === 'string' ? createConnection(address) : createConnection(address, loopback);
  socket.on('error', () => {});
  socket.resume();
  await new Promise<void>((resolve) => {
    socket.once('connect', () => resolve());
    socket.once('close', () => resolve());
  });
  return socket;
}

/** Requests a stream from the front end, without waiting for the answer. */
export function requestStream(server: AttackedServer, target: string): Socket {
  const socket = createConnection(server.udsPath);
  socket.on('error', () => {});
  socket.resume();
  socket.write(`CONNECT ${target} HTTP/1.1\r\n\r\n`);
  return socket;
}
