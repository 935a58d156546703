import { createConnection, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';

/** Where a server listens, and who the attacker is; from one process to the other as JSON. */
export interface AttackPlace {
  readonly udsPath: string;
  readonly frontEndPort: number;
  readonly agentPort: number;
  readonly healthPort: number;
  readonly adminPort: number;
  /** A certificate of an agent, which the server takes. */
  readonly agentTls: { readonly ca: string; readonly cert: string; readonly key: string };
}

/** How an attack went on. */
export interface AttackRun {
  readonly place: AttackPlace;
  /** An echo that the agent reaches, of the attacker's own, so that its connections keep no other program busy. */
  readonly target: string;
  /** Whether the time is up. */
  isOver(): boolean;
  /** Frames, requests or connections that were sent. */
  count: number;
}

const loopback = '127.0.0.1';

const HEADER_BYTES = 8;

/** A frame of docs/spec.md. */
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

/** Resolves when bytes may be written again, or never can. */
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

/** A tunnel's connection, before any frame; undefined if the server does not take it. */
export async function openTunnel(place: AttackPlace): Promise<TLSSocket | undefined> {
  const socket = connectTls({
    host: loopback,
    port: place.agentPort,
    servername: 'localhost',
    ...place.agentTls,
    ALPNProtocols: ['fairlead/1'],
  });
  socket.on('error', () => {});
  return new Promise((resolve) => {
    socket.once('secureConnect', () => resolve(socket));
    socket.once('close', () => resolve(undefined));
  });
}

/** A plain connection; what it is told is thrown away. */
export async function openPlain(where: number | string): Promise<Socket> {
  const socket =
    typeof where === 'string' ? createConnection(where) : createConnection(where, loopback);
  socket.on('error', () => {});
  socket.resume();
  await new Promise<void>((resolve) => {
    socket.once('connect', () => resolve());
    socket.once('close', () => resolve());
  });
  return socket;
}

/** Asks the front end for a stream and waits for nothing. */
export function ask(place: AttackPlace, target: string): Socket {
  const socket = createConnection(place.udsPath);
  socket.on('error', () => {});
  socket.resume();
  socket.write(`CONNECT ${target} HTTP/1.1\r\n\r\n`);
  return socket;
}
