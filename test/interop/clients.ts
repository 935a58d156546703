/** Clients of a front end with one interface: HTTP CONNECT in this process, gRPC with Konnectivity's client. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import {
  closeAfter,
  connectHead,
  connectThrough,
  countBytes,
  openFrontEnd,
  RunningProcess,
  seededReadable,
  seededSha256,
} from '@fairlead/testkit';
import type { Test } from 'tap';
import type { FrontEnd } from './fixture.ts';
import type { Binaries } from './konnectivity.ts';

/** The outcome of a failed dial. */
export interface DialFailure {
  /** The HTTP status of a CONNECT. */
  readonly status?: number;
  /** The HTTP body or the gRPC error. */
  readonly text: string;
}

/** A connection that the client keeps open. */
export interface OpenConnection {
  /** Uses the connection once more, and closes it. */
  finish(): Promise<void>;
}

export interface Client {
  /** Sends bytes to an echo target on `parallel` connections at once, and checks the echoes. */
  echo(target: string, bytes: number, parallel?: number): Promise<void>;
  /** Reads to the end. @returns the number of bytes */
  read(target: string): Promise<number>;
  /** Dials a target that cannot be reached. */
  failToDial(target: string): Promise<DialFailure>;
  /** Cancels a pending dial. */
  cancelDial(target: string): Promise<void>;
  /** Uses a connection to an echo target, and ends without closing it. */
  abandon(target: string): Promise<void>;
  keepOpen(target: string): Promise<OpenConnection>;
  /** Makes many connections to an echo target. With gRPC, all are calls on one gRPC connection. */
  reuse(target: string, connections: number): Promise<void>;
}

export function clientFor(t: Test, frontEnd: FrontEnd, binaries: Binaries): Client {
  if (frontEnd.protocol === 'http-connect') return new HttpClient(frontEnd.address);
  return new GoClient(t, frontEnd.address, binaries.client);
}

const mib = 1024 * 1024;

class HttpClient implements Client {
  readonly #address: FrontEnd['address'];

  constructor(address: FrontEnd['address']) {
    this.#address = address;
  }

  async echo(target: string, bytes: number, parallel = 1): Promise<void> {
    const one = async (index: number) => {
      const socket = await this.#open(target);
      await echoOnce(socket, `echo ${index}`, bytes);
      await close(socket);
    };
    await Promise.all(Array.from({ length: parallel }, (_, index) => one(index)));
  }

  async read(target: string): Promise<number> {
    const socket = await this.#open(target);
    const { bytes } = await countBytes(socket, { hash: false });
    await close(socket);
    return bytes;
  }

  async failToDial(target: string): Promise<DialFailure> {
    const { status, body, socket } = await connectThrough({ via: this.#address, target });
    socket.destroy();
    return { status, text: body };
  }

  async cancelDial(target: string): Promise<void> {
    const socket = await openFrontEnd(this.#address);
    await new Promise((resolve) => socket.write(connectHead(target), resolve));
    socket.destroy();
  }

  async abandon(target: string): Promise<void> {
    const socket = await this.#open(target);
    await echoOnce(socket, 'abandon', mib);
    socket.destroy();
  }

  async keepOpen(target: string): Promise<OpenConnection> {
    const socket = await this.#open(target);
    await echoOnce(socket, 'keep-open', mib);
    return {
      finish: async () => {
        await echoOnce(socket, 'finish', mib);
        await close(socket);
      },
    };
  }

  async reuse(target: string, connections: number): Promise<void> {
    for (let count = 0; count < connections; count += 1) await this.echo(target, 4);
  }

  async #open(target: string): Promise<Socket> {
    const { status, body, socket } = await connectThrough({ via: this.#address, target });
    if (status !== 200) throw new Error(`CONNECT ${target}: ${status} ${body}`);
    socket.on('error', () => {});
    return socket;
  }
}

/** Sends seeded bytes and checks the echo. The connection stays open. */
async function echoOnce(socket: Socket, seed: string, bytes: number): Promise<void> {
  const hash = createHash('sha256');
  seededReadable(seed, bytes).pipe(socket, { end: false });
  let left = bytes;
  await new Promise<void>((resolve, reject) => {
    const settle = (error?: Error) => {
      socket.off('data', onData).off('close', onClose).off('end', onClose).pause();
      if (error) reject(error);
      else resolve();
    };
    const onClose = () => settle(new Error(`the connection closed before the last ${left} bytes`));
    const onData = (chunk: Buffer) => {
      hash.update(chunk);
      left -= chunk.length;
      if (left <= 0) settle();
    };
    socket.on('data', onData).on('close', onClose).on('end', onClose).resume();
  });
  if (hash.digest('hex') !== seededSha256(seed, bytes)) throw new Error('the echo differs');
}

async function close(socket: Socket): Promise<void> {
  if (socket.destroyed) return;
  const closed = once(socket, 'close');
  socket.resume();
  socket.end();
  await closed;
}

/** The real konnectivity-client, in its own process. */
class GoClient implements Client {
  readonly #t: Test;
  readonly #file: string;
  readonly #flags: readonly string[];

  constructor(t: Test, address: FrontEnd['address'], file: string) {
    this.#t = t;
    this.#file = file;
    this.#flags =
      'path' in address
        ? ['-front', `unix:${address.path}`]
        : [
            ...['-front', `${address.host}:${address.port}`],
            ...['-ca-pem', address.tls.ca],
            ...['-cert-pem', address.tls.cert ?? '', '-key-pem', address.tls.key ?? ''],
          ];
  }

  async echo(target: string, bytes: number, parallel = 1): Promise<void> {
    const flags = ['-bytes', String(bytes), '-parallel', String(parallel)];
    await this.#succeed(target, flags, 'echo');
  }

  async read(target: string): Promise<number> {
    const process = await this.#succeed(target, [], 'read');
    return Number(process.logs.find(({ msg }) => msg === 'read')?.count ?? 0);
  }

  async failToDial(target: string): Promise<DialFailure> {
    const process = await this.#start(target, [], 'dial');
    const { ok, error } = await process.waitForLog('done', 40_000);
    return { text: ok ? 'the dial succeeded' : String(error) };
  }

  async cancelDial(target: string): Promise<void> {
    const process = await this.#start(target, ['-timeout', '200ms'], 'dial');
    const { error } = await process.waitForLog('done');
    if (!/dial timeout, context/.test(String(error))) throw new Error(process.describe());
  }

  async abandon(target: string): Promise<void> {
    await this.#succeed(target, [], 'abandon');
  }

  async keepOpen(target: string): Promise<OpenConnection> {
    const process = await this.#start(target, [], 'keep-open');
    await process.waitForLog('open');
    return {
      finish: async () => {
        process.say('go on');
        const { ok, error } = await process.waitForLog('done');
        if (!ok) throw new Error(`finish: ${error}`);
      },
    };
  }

  async reuse(target: string, connections: number): Promise<void> {
    await this.#succeed(target, ['-parallel', String(connections)], 'reuse');
  }

  async #start(target: string, flags: readonly string[], operation: string) {
    const args = [...this.#flags, '-target', target, ...flags, operation];
    const options = { name: `client ${operation}`, stdin: 'pipe' } as const;
    return closeAfter(this.#t, await RunningProcess.startBinary(this.#file, args, options));
  }

  async #succeed(target: string, flags: readonly string[], operation: string) {
    const process = await this.#start(target, flags, operation);
    const { code } = await process.exit;
    if (code !== 0) throw new Error(process.describe());
    return process;
  }
}
