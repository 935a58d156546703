/** Servers and agents inside the test's process, with real sockets, certificates and sessions. */

import { once } from 'node:events';
import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type AgentOptions, createAgent, type FairleadAgent } from '@fairlead/agent';
import { resetSocket } from '@fairlead/protocol';
import { createServer, type FairleadServer, type ServerOptions } from '@fairlead/server';
import {
  type ConnectReply,
  connectThrough,
  makeTemporaryDirectory,
  readText,
  sharedTestPki,
} from '@fairlead/testkit';
import type { Test } from 'tap';
import { LogWatch } from './log-watch.ts';

export const loopback = '127.0.0.1';

export interface FleetServer {
  readonly id: string;
  readonly server: FairleadServer;
  readonly uds: { readonly path: string };
  readonly agentPort: number;
  readonly healthPort: number;
  readonly log: LogWatch;
  /** Agents whose tunnels are up, in order. */
  agentIds(): string[];
}

export interface FleetAgent {
  readonly agent: FairleadAgent;
  readonly log: LogWatch;
}

type Given<Options> = Partial<Options>;

/** A server that is closed with the test. It is ready with the first agent unless told otherwise. */
export async function startServer(
  t: Test,
  id: string,
  given: Given<ServerOptions> = {},
): Promise<FleetServer> {
  const { agent } = await sharedTestPki();
  const directory = await makeTemporaryDirectory();
  const uds = { path: join(directory.path, 'uds') };
  const log = new LogWatch();
  const server = await createServer(
    {
      serverId: id,
      udsName: uds.path,
      clusterCert: agent.server.certFile,
      clusterKey: agent.server.keyFile,
      clusterCaCert: agent.caFile,
      agentBindAddress: loopback,
      agentPort: 0,
      healthBindAddress: loopback,
      healthPort: 0,
      adminPort: 0,
      agentsSettleTime: 0,
      // The agents of a test share one certificate, which covers no claims.
      agentAuthorization: 'off',
      ...given,
    },
    log.logger,
  );
  t.teardown(async () => {
    await server.close();
    await directory.close();
  });
  return {
    id,
    server,
    uds,
    agentPort: server.addresses.agent.port,
    healthPort: server.addresses.health.port,
    log,
    agentIds: () => {
      const up: string[] = log.of('agent connected').map(({ agent }) => String(agent));
      for (const { agent } of log.of('agent disconnected')) up.splice(up.indexOf(String(agent)), 1);
      return up;
    },
  };
}

/** An agent that is closed with the test. */
export async function startAgent(
  t: Test,
  port: number,
  given: Given<AgentOptions> = {},
  lookup?: Parameters<typeof createAgent>[3],
): Promise<FleetAgent> {
  const { agent: authority } = await sharedTestPki();
  const log = new LogWatch();
  const agent = await createAgent(
    {
      proxyServerHost: [loopback],
      proxyServerPort: port,
      agentCert: authority.client.certFile,
      agentKey: authority.client.keyFile,
      caCert: authority.caFile,
      healthServerHost: loopback,
      healthServerPort: 0,
      adminServerPort: 0,
      reconnectMin: 50,
      reconnectMax: 400,
      syncInterval: 30,
      syncIntervalCap: 300,
      ...given,
    },
    log.logger,
    {},
    lookup,
  );
  t.teardown(() => agent.close());
  return { agent, log };
}

/** A TCP load balancer that picks one of its ports at random for each connection. */
export interface Balancer {
  readonly port: number;
  readonly ports: Set<number>;
}

export async function startBalancer(t: Test, ports: Iterable<number>): Promise<Balancer> {
  const open = new Set<Socket>();
  const balancer = createTcpServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const all = [...targets];
    const far = connect({
      host: loopback,
      port: all[Math.floor(Math.random() * all.length)] ?? 0,
      allowHalfOpen: true,
      noDelay: true,
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one);
      one.on('error', () => resetSocket(other));
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  const targets = new Set(ports);
  balancer.listen(0, loopback);
  await once(balancer, 'listening');
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    balancer.close();
  });
  const address = balancer.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return { port: address.port, ports: targets };
}

/** Waits until servers and agents are connected as the condition says. */
export async function untilConnected(
  servers: readonly FleetServer[],
  condition: () => boolean,
): Promise<void> {
  while (!condition()) {
    await Promise.race(servers.map(({ log }) => log.until(nextLine(log))));
  }
}

function nextLine(log: LogWatch): () => boolean {
  const { length } = log.lines;
  return () => log.lines.length > length;
}

/** Opens a stream to a target by the server's socket. */
export function openStream(
  { uds }: Pick<FleetServer, 'uds'>,
  target: { readonly host: string; readonly port: number },
): Promise<ConnectReply> {
  return connectThrough({ via: uds, target: `${target.host}:${target.port}` });
}

/**
 * One request of a client that tries nothing twice: CONNECT, GET /healthz, read to the end.
 * @returns what went wrong; undefined if nothing did
 */
export async function request(
  server: Pick<FleetServer, 'uds'>,
  target: { readonly host: string; readonly port: number },
): Promise<string | undefined> {
  try {
    const reply = await openStream(server, target);
    if (reply.status !== 200) {
      reply.socket.destroy();
      return `${reply.status} ${reply.body.trim()}`;
    }
    reply.socket.write('GET /healthz HTTP/1.1\r\nHost: target\r\nConnection: close\r\n\r\n');
    const text = await readText(reply.socket);
    reply.socket.end();
    return text.startsWith('HTTP/1.1 200') && text.endsWith('ok') ? undefined : `answer: ${text}`;
  } catch (error) {
    return String(error);
  }
}

/** Whether /readyz says so. */
export async function isReady({ healthPort }: Pick<FleetServer, 'healthPort'>): Promise<boolean> {
  try {
    const { status } = await fetch(`http://${loopback}:${healthPort}/readyz`);
    return status === 200;
  } catch {
    return false;
  }
}

/** Asks /readyz until it is ready. */
export async function untilReady(server: Pick<FleetServer, 'healthPort'>): Promise<void> {
  while (!(await isReady(server))) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The value of a metric, by its name and labels as they are written: `name{label="x"}`. */
export async function metric(
  { healthPort }: Pick<FleetServer, 'healthPort'>,
  name: string,
): Promise<number> {
  const reply = await fetch(`http://${loopback}:${healthPort}/metrics`);
  const row = (await reply.text()).split('\n').find((line) => line.startsWith(`${name} `));
  return Number(row?.slice(name.length) ?? 0);
}
