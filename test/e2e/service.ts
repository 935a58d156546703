/** A server with one agent in this process, and the kinds of clients and transports to test them with. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { ClientDuplex, closeRoute, openDuplex, type Route } from '@fairlead/client';
import type { ServerOptions } from '@fairlead/server';
import type { Test } from 'tap';
import { startAgent, startServer, type TestAgent, type TestServer } from '../support/fleet.ts';

/** Every transport between agent and server; `grpc` is Konnectivity's protocol. */
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

/** Long enough for a busy machine. */
const openTimeoutMs = 60_000;

interface Target {
  readonly host: string;
  readonly port: number;
}

/** The client's protocol, and whether it connects over TCP with mTLS or over the Unix domain socket. */
export const clientRoutes = {
  'HTTP/1.1 over mTLS': { by: 'connect', over: 'tcp' },
  'HTTP/1.1 over the UDS': { by: 'connect', over: 'uds' },
  'HTTP/2 over mTLS': { by: 'http2-connect', over: 'tcp' },
  'HTTP/2 over the UDS': { by: 'http2-connect', over: 'uds' },
  'gRPC over mTLS': { by: 'grpc', over: 'tcp' },
  'gRPC over the UDS': { by: 'grpc', over: 'uds' },
} as const;

export type ClientKind = keyof typeof clientRoutes;
export const clientKinds = Object.keys(clientRoutes) as ClientKind[];

/** The route to the target; the teardown closes its shared connections. */
export function routeTo(t: Test, server: TestServer, kind: ClientKind, target: Target): Route {
  const { by, over } = clientRoutes[kind];
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
 * Opens a stream to the target; the teardown destroys it.
 * @throws ClientError with the front end's code
 */
export async function open(
  t: Test,
  server: TestServer,
  kind: ClientKind,
  target: Target,
): Promise<Duplex> {
  const route = routeTo(t, server, kind, target);
  // A gRPC stream opens with its first write, and has no half-close.
  const stream =
    route.by === 'grpc' ? new ClientDuplex(route).open() : await openDuplex(route, openTimeoutMs);
  // An error that the test does not await must not end the process.
  stream.on('error', () => {});
  stream.setMaxListeners(0);
  t.teardown(() => {
    stream.destroy();
  });
  return stream;
}

/** Whether both client and transport carry half-close. */
export function carriesHalfClose(kind: ClientKind, transport: Transport): boolean {
  return clientRoutes[kind].by !== 'grpc' && transport !== 'grpc';
}

/** How many streams the agents of the server carry, according to its admin port. */
export async function openStreams({ adminUrl }: TestServer): Promise<number> {
  const { agents } = (await (await fetch(new URL('/api/v1/status', adminUrl))).json()) as {
    agents: { streams: number }[];
  };
  return agents.reduce((sum, { streams }) => sum + streams, 0);
}

/** Reads exactly `count` bytes. Rejects if the stream ends before, or if more bytes arrive with them. */
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

/** Sends a text and waits for as many bytes. @returns the answer, which an echo target makes the same text */
export async function exchange(stream: Duplex, text: string): Promise<string> {
  stream.write(text);
  return String(await readExactly(stream, Buffer.byteLength(text)));
}

/** The error with which a stream ends. */
export async function failureOf(stream: Duplex): Promise<unknown> {
  if (!stream.destroyed) await once(stream, 'close').catch(() => {});
  return stream.errored;
}
