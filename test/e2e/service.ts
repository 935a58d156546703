/** A server with one agent in this process, and the ways in and the transports to try it with. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { ClientDuplex, closeRoute, openDuplex, type Route } from '@fairlead/client';
import type { ServerOptions } from '@fairlead/server';
import type { Test } from 'tap';
import { startAgent, startServer, type TestAgent, type TestServer } from '../support/fleet.ts';

/** Every transport between agent and server; `grpc` is Konnectivity's. */
export const transports = ['tls', 'websocket', 'http2', 'grpc'] as const;
export type Transport = (typeof transports)[number];

export interface Service {
  readonly server: TestServer;
  readonly agent: TestAgent;
}

/** Starts a server and an agent, and waits until the two are connected. */
export async function startService(
  t: Test,
  transport: Transport,
  options: Partial<ServerOptions> = {},
): Promise<Service> {
  const server = await startServer(t, options);
  const agent = await startAgent(t, server, { transport });
  await Promise.all([server.untilAgents(1), agent.log.line('connected')]);
  return { server, agent };
}

/** A busy machine must not reach it. */
const openTimeoutMs = 60_000;

interface Target {
  readonly host: string;
  readonly port: number;
}

/** The ways into a server: what the client speaks, and whether over TCP with mTLS or over the socket. */
export const waysIn = {
  'HTTP/1.1 over mTLS': { by: 'connect', over: 'tcp' },
  'HTTP/1.1 over the UDS': { by: 'connect', over: 'uds' },
  'HTTP/2 over mTLS': { by: 'http2-connect', over: 'tcp' },
  'HTTP/2 over the UDS': { by: 'http2-connect', over: 'uds' },
  'gRPC over mTLS': { by: 'grpc', over: 'tcp' },
  'gRPC over the UDS': { by: 'grpc', over: 'uds' },
} as const;

export type WayIn = keyof typeof waysIn;
export const wayNames = Object.keys(waysIn) as WayIn[];

/** The route to the target; its shared connections are closed with the test. */
export function routeTo(t: Test, server: TestServer, way: WayIn, target: Target): Route {
  const { by, over } = waysIn[way];
  const { tls, ...tcp } = server.tcp;
  const route: Route = {
    by,
    target,
    ...(over === 'uds' ? { address: server.uds } : { address: tcp, tls }),
  };
  t.teardown(() => closeRoute(route));
  return route;
}

/**
 * Opens a stream to the target; it is destroyed with the test.
 * @throws ClientError with the front end's code
 */
export async function open(
  t: Test,
  server: TestServer,
  way: WayIn,
  target: Target,
): Promise<Duplex> {
  const route = routeTo(t, server, way, target);
  // A gRPC stream opens with its first write, and has no half-close.
  const stream =
    route.by === 'grpc' ? new ClientDuplex(route).open() : await openDuplex(route, openTimeoutMs);
  // What a test does not wait for must not end its process.
  stream.on('error', () => {});
  stream.setMaxListeners(0);
  t.teardown(() => {
    stream.destroy();
  });
  return stream;
}

/** Whether both sides of the way carry the end of one direction alone. */
export function carriesHalfClose(way: WayIn, transport: Transport): boolean {
  return waysIn[way].by !== 'grpc' && transport !== 'grpc';
}

/** How many streams the agents of the server carry, as its admin port says. */
export async function openStreams({ adminUrl }: TestServer): Promise<number> {
  const { agents } = (await (await fetch(new URL('/api/v1/status', adminUrl))).json()) as {
    agents: { streams: number }[];
  };
  return agents.reduce((sum, { streams }) => sum + streams, 0);
}

/** Reads exactly so many bytes. Rejects if the stream ends before, or brings more at once. */
export async function readExactly(stream: Duplex, count: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  while (length < count) {
    const chunk: Buffer | null = stream.read();
    if (chunk !== null) {
      chunks.push(chunk);
      length += chunk.length;
    } else if (stream.readableEnded || stream.destroyed) {
      throw new Error(`the stream ended after ${length} of ${count} bytes`, {
        cause: stream.errored,
      });
    } else {
      await Promise.race(['readable', 'end', 'close'].map((event) => once(stream, event)));
    }
  }
  if (length > count) throw new Error(`${length} bytes instead of ${count}`);
  return Buffer.concat(chunks);
}

/** Sends a text and waits for its echo. */
export async function exchange(stream: Duplex, text: string): Promise<string> {
  stream.write(text);
  return String(await readExactly(stream, Buffer.byteLength(text)));
}

/** The error with which a stream ends. */
export async function failureOf(stream: Duplex): Promise<unknown> {
  if (!stream.destroyed) await once(stream, 'close').catch(() => {});
  return stream.errored;
}
