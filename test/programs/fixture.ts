/**
 * fairlead-server and fairlead-agent as processes. They run with Konnectivity's flags, the certificates of
 * the test run, and ports that the system picks.
 */
import { join } from 'node:path';
import {
  type ClientTls,
  closeAfter,
  eventually,
  type LogLine,
  makeTemporaryDirectory,
  pickPort,
  programs,
  RunningProcess,
  sharedTestPki,
  type TestPki,
} from '@fairlead/testkit';
import type { Test } from 'tap';

export const loopback = '127.0.0.1';

/** Fairlead's own transports, as the agent's --transport names them. */
export const transports = ['tls', 'websocket', 'http2'] as const;
export type TransportName = (typeof transports)[number];

/** Flags by their names; undefined omits one of the default flags. */
export type Flags = Readonly<Record<string, string | undefined>>;

export interface RunningServer {
  readonly process: RunningProcess;
  readonly uds: { readonly path: string };
  /** TLS uses the certificate of the front end's client. */
  readonly tcp: { readonly host: string; readonly port: number; readonly tls: ClientTls };
  readonly agentPort: number;
  readonly healthPort: number;
  readonly adminPort: number;
}

export interface RunningAgent {
  readonly process: RunningProcess;
  readonly healthPort: number;
  readonly adminPort: number;
}

/** A server with one agent that is connected. */
export interface Service {
  readonly server: RunningServer;
  readonly agent: RunningAgent;
}

/** The certificates of this run. */
export function testPki(): Promise<TestPki> {
  return sharedTestPki();
}

function argumentsOf(flags: Flags): string[] {
  const given = Object.entries(flags).filter(([, value]) => value !== undefined);
  return given.map(([name, value]) => `--${name}=${value}`);
}

/** All flags that a server needs to serve a UDS and TCP. */
export async function serverFlags(udsPath: string): Promise<Flags> {
  const { frontend, agent } = await testPki();
  return {
    'uds-name': udsPath,
    // With a UDS, 0 disables TCP.
    'server-port': String(await pickPort()),
    'server-bind-address': loopback,
    'server-ca-cert': frontend.caFile,
    'server-cert': frontend.server.certFile,
    'server-key': frontend.server.keyFile,
    'cluster-ca-cert': agent.caFile,
    'cluster-cert': agent.server.certFile,
    'cluster-key': agent.server.keyFile,
    'agent-port': '0',
    'agent-bind-address': loopback,
    'health-port': '0',
    'health-bind-address': loopback,
    'admin-port': '0',
    'admin-bind-address': loopback,
    mode: 'http-connect',
    'proxy-strategies': 'default',
    logtostderr: 'true',
  };
}

/** All flags that an agent needs to connect to the server on `serverPort`. */
export async function agentFlags(serverPort: number): Promise<Flags> {
  const { agent } = await testPki();
  return {
    'proxy-server-host': loopback,
    'proxy-server-port': String(serverPort),
    'ca-cert': agent.caFile,
    'agent-cert': agent.client.certFile,
    'agent-key': agent.client.keyFile,
    'agent-id': 'node-1',
    'agent-identifiers': 'host=node-1&default-route=true',
    'health-server-host': loopback,
    'health-server-port': '0',
    'admin-bind-address': loopback,
    'admin-server-port': '0',
    'reconnect-min': '100ms',
    'reconnect-max': '500ms',
    logtostderr: 'true',
  };
}

/** Starts the program with these flags only, and does not wait for it to be ready. */
export async function startProgram(
  t: Test,
  program: 'server' | 'agent',
  flags: Flags,
  env: Readonly<Record<string, string>> = {},
): Promise<RunningProcess> {
  const name = `fairlead-${program}`;
  const started = await RunningProcess.start(programs[program], argumentsOf(flags), { name, env });
  return closeAfter(t, started);
}

/**
 * Starts a server and waits until it listens everywhere.
 * @param predecessor a server that has ended; the new one uses its addresses
 */
export async function startServer(
  t: Test,
  flags: Flags = {},
  predecessor?: RunningServer,
): Promise<RunningServer> {
  const { frontend } = await testPki();
  const addresses = predecessor && {
    'server-port': String(predecessor.tcp.port),
    'agent-port': String(predecessor.agentPort),
    'health-port': String(predecessor.healthPort),
    'admin-port': String(predecessor.adminPort),
  };
  const path = predecessor?.uds.path ?? (await makeUdsPath(t));
  const all = { ...(await serverFlags(path)), ...addresses, ...flags };
  const server = await startProgram(t, 'server', all);
  const port = Number(all['server-port']);
  // The front end listens last, and on TCP after the UDS.
  await server.waitForLog(({ msg, ...line }) => msg === 'listening' && line.port === port);
  const portOf = async (listener: string) => (await server.waitForListener(listener)).port;
  return {
    process: server,
    uds: { path },
    tcp: {
      host: loopback,
      port,
      tls: { ca: frontend.ca, cert: frontend.client.cert, key: frontend.client.key },
    },
    agentPort: await portOf('agent'),
    healthPort: await portOf('health'),
    adminPort: await portOf('admin'),
  };
}

async function makeUdsPath(t: Test): Promise<string> {
  const directory = await makeTemporaryDirectory();
  t.teardown(() => directory.close());
  return join(directory.path, 'front-end.sock');
}

/** Starts an agent. It logs `connected` when its tunnel is up. */
export async function startAgent(
  t: Test,
  serverPort: number,
  flags: Flags = {},
  env: Readonly<Record<string, string>> = {},
): Promise<RunningAgent> {
  const all = { ...(await agentFlags(serverPort)), ...flags };
  const agent = await startProgram(t, 'agent', all, env);
  const [health, admin] = await Promise.all([
    agent.waitForListener('health'),
    agent.waitForListener('admin'),
  ]);
  return { process: agent, healthPort: health.port, adminPort: admin.port };
}

/** Waits until agents have connected to the server `count` times since it started. */
export async function untilAgentsConnected(server: RunningServer, count = 1): Promise<void> {
  const { process } = server;
  await process.waitForLog(() => linesOf(process, 'agent connected').length >= count);
}

/** The log lines with this message so far. */
export function linesOf(process: RunningProcess, msg: string): LogLine[] {
  return process.logs.filter((line) => line.msg === msg);
}

/**
 * Starts an agent and waits until it is connected. The test's teardown ends the agent and waits until the
 * server has noticed, so that tests that share a server can each have their own agent.
 */
export async function connectAgent(
  t: Test,
  server: RunningServer,
  flags: Flags = {},
  env: Readonly<Record<string, string>> = {},
): Promise<RunningAgent> {
  const connections = linesOf(server.process, 'agent connected').length + 1;
  const agent = await startAgent(t, server.agentPort, flags, env);
  let hasServerEnded = false;
  void server.process.exit.then(() => {
    hasServerEnded = true;
  });
  t.teardown(async () => {
    await agent.process.close();
    if (hasServerEnded) return;
    await eventually('the server notices that the agent has disconnected', () => {
      return linesOf(server.process, 'agent disconnected').length >= connections;
    });
  });
  await untilAgentsConnected(server, connections);
  return agent;
}

/** Starts a server and an agent, and waits until the two are connected. */
export async function startService(
  t: Test,
  { server: serverOptions = {}, agent: agentOptions = {} }: { server?: Flags; agent?: Flags } = {},
): Promise<Service> {
  const server = await startServer(t, serverOptions);
  const agent = await startAgent(t, server.agentPort, agentOptions);
  await untilAgentsConnected(server);
  return { server, agent };
}
