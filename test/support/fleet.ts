/** Servers and agents in the test's process, with real sockets, certificates and sessions. */

import { join } from 'node:path';
import { type AgentOptions, createAgent, type FairleadAgent } from '@fairlead/agent';
import { createLogger } from '@fairlead/runtime/process';
import { createServer, type FairleadServer, type ServerOptions } from '@fairlead/server';
import {
  type ClientTls,
  LogWatch,
  makeTemporaryDirectory,
  pickPort,
  sharedTestPki,
} from '@fairlead/testkit';
import type { Test } from 'tap';

export const loopback = '127.0.0.1';

export interface TestServer {
  /** Its `serverId`. */
  readonly id: string;
  readonly server: FairleadServer;
  readonly log: LogWatch;
  /** The front end's Unix domain socket. */
  readonly uds: { readonly path: string };
  /** The front end's TCP address, with the certificate of the shared front-end client. */
  readonly tcp: { readonly host: string; readonly port: number; readonly tls: ClientTls };
  readonly agentPort: number;
  readonly healthPort: number;
  readonly adminUrl: URL;
  /** The IDs of the agents whose tunnels are up, in the order of their arrival. */
  agentIds(): string[];
  /** Waits until exactly `count` tunnels are up. */
  untilAgents(count: number): Promise<void>;
  /** The value of a metric, with labels as in its row: `{code="closed"}`. 0 if the row is missing. */
  metric(name: string, labels?: string): Promise<number>;
}

export interface TestAgent {
  readonly agent: FairleadAgent;
  readonly log: LogWatch;
}

/**
 * Starts a server that listens on a Unix domain socket and on TCP; the teardown closes it. It is ready when
 * its first agent connects, unless `agentsSettleTime` is given.
 */
export async function startServer(
  t: Test,
  options: Partial<ServerOptions> = {},
): Promise<TestServer> {
  const { agent, frontend } = await sharedTestPki();
  const directory = await makeTemporaryDirectory();
  const path = join(directory.path, 'uds');
  const port = await pickPort();
  const log = new LogWatch();
  const server = await createServer(
    {
      udsName: path,
      serverPort: port,
      serverBindAddress: loopback,
      serverCert: frontend.server.certFile,
      serverKey: frontend.server.keyFile,
      serverCaCert: frontend.caFile,
      clusterCert: agent.server.certFile,
      clusterKey: agent.server.keyFile,
      clusterCaCert: agent.caFile,
      agentBindAddress: loopback,
      agentPort: 0,
      healthBindAddress: loopback,
      healthPort: 0,
      adminPort: 0,
      agentsSettleTime: 0,
      ...options,
    },
    createLogger('debug', log),
  ).catch(async (error) => {
    await directory.close();
    throw error;
  });
  t.teardown(async () => {
    await server.close();
    await directory.close();
  });
  const { agent: agentAddress, health, admin } = server.addresses;
  const agentIds = () => {
    const up = log.of('agent connected').map((line) => String(line.agent));
    for (const line of log.of('agent disconnected')) up.splice(up.indexOf(String(line.agent)), 1);
    return up;
  };
  return {
    id: options.serverId ?? '',
    server,
    log,
    uds: { path },
    tcp: {
      host: loopback,
      port,
      tls: { ca: frontend.ca, cert: frontend.client.cert, key: frontend.client.key },
    },
    agentPort: agentAddress.port,
    healthPort: health.port,
    adminUrl: new URL(`http://${loopback}:${admin.port}`),
    agentIds,
    untilAgents: async (count) => {
      await log.until(`${count} agents are connected`, () => agentIds().length === count);
    },
    metric: (name, labels) => metric({ healthPort: health.port }, name, labels),
  };
}

/**
 * Starts an agent that connects to a server or to a port; the teardown closes it.
 *
 * @param lookup resolves names instead of the system's resolver
 * @param log for a test that needs the log before the agent has started
 */
export async function startAgent(
  t: Test,
  server: number | Pick<TestServer, 'agentPort'>,
  options: Partial<AgentOptions> = {},
  lookup?: Parameters<typeof createAgent>[3],
  log = new LogWatch(),
): Promise<TestAgent> {
  const { agent: authority } = await sharedTestPki();
  const agent = await createAgent(
    {
      proxyServerHost: [loopback],
      proxyServerPort: typeof server === 'number' ? server : server.agentPort,
      caCert: authority.caFile,
      agentCert: authority.client.certFile,
      agentKey: authority.client.keyFile,
      healthServerHost: loopback,
      healthServerPort: 0,
      adminServerPort: 0,
      reconnectMin: 50,
      reconnectMax: 400,
      syncInterval: 30,
      syncIntervalCap: 300,
      ...options,
    },
    createLogger('debug', log),
    {},
    lookup,
  );
  t.teardown(() => agent.close());
  return { agent, log };
}

/** The value of a metric of a server or an agent, as in `TestServer.metric`. */
export async function metric(
  { healthPort }: Pick<TestServer, 'healthPort'>,
  name: string,
  labels = '',
): Promise<number> {
  const text = await (await fetch(`http://${loopback}:${healthPort}/metrics`)).text();
  const row = text.split('\n').find((line) => line.startsWith(`${name}${labels} `));
  return Number(row?.slice(row.lastIndexOf(' ')) ?? 0);
}
