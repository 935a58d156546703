/** Servers and agents of Fairlead and Konnectivity as processes, with shared certificates and separate ports. */
import { join } from 'node:path';
import {
  type ClientTls,
  closeAfter,
  eventually,
  makeOpensslPki,
  makeTemporaryDirectory,
  pickPort,
  programs,
  RunningProcess,
  sharedTestPki,
} from '@fairlead/testkit';
import type { Test } from 'tap';
import type { Binaries } from './konnectivity.ts';

const loopback = '127.0.0.1';

/** Fairlead, or the programs of a Konnectivity release. */
export type Kind = 'fairlead' | Binaries;

export type Protocol = 'http-connect' | 'grpc';
export type Listener = 'uds' | 'tcp';

/** A front end under test. Over TCP it uses mTLS. */
export interface FrontEnd {
  readonly protocol: Protocol;
  readonly address:
    | { readonly path: string }
    | { readonly host: string; readonly port: number; readonly tls: ClientTls };
}

export interface Server {
  readonly kind: Kind;
  readonly process: RunningProcess;
  readonly agentPort: number;
  readonly adminPort: number;
  readonly frontEnds: readonly FrontEnd[];
}

export interface Agent {
  readonly kind: Kind;
  readonly process: RunningProcess;
  readonly adminPort: number;
}

type Flags = Readonly<Record<string, string | number>>;

export function nameOf(kind: Kind): string {
  return kind === 'fairlead' ? 'Fairlead' : `Konnectivity ${kind.release}`;
}

function testPki() {
  return sharedTestPki(makeOpensslPki);
}

async function start(t: Test, kind: Kind, program: 'server' | 'agent', flags: Flags) {
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const name = `${nameOf(kind)} ${program}`;
  const started =
    kind === 'fairlead'
      ? await RunningProcess.start(programs[program], args, { name })
      : await RunningProcess.startBinary(kind[program], args, { name });
  return closeAfter(t, started);
}

/** One Fairlead server has both protocols on both listeners. */
async function startFairleadServer(t: Test, flags: Flags): Promise<Server> {
  const { frontend } = await testPki();
  const path = await udsPath(t, flags);
  const port = await pickPort();
  const process = await start(t, 'fairlead', 'server', {
    ...(await commonServerFlags()),
    'uds-name': path,
    'server-port': port,
    'server-bind-address': loopback,
    'server-ca-cert': frontend.caFile,
    'server-cert': frontend.server.certFile,
    'server-key': frontend.server.keyFile,
    'agent-port': 0,
    'admin-port': 0,
    'health-port': 0,
    ...flags,
  });
  const [agents, admin] = await Promise.all([
    process.waitForListener('agent'),
    process.waitForListener('admin'),
  ]);
  const { ca, client } = frontend;
  const tcp = { host: loopback, port, tls: { ca, cert: client.cert, key: client.key } };
  const frontEnds = (['http-connect', 'grpc'] as const).flatMap((protocol) => [
    { protocol, address: { path } },
    { protocol, address: tcp },
  ]);
  return { kind: 'fairlead', process, agentPort: agents.port, adminPort: admin.port, frontEnds };
}

/** One Konnectivity server has one protocol on one listener. */
async function startKonnectivityServer(
  t: Test,
  kind: Binaries,
  protocol: Protocol,
  listener: Listener,
  flags: Flags,
): Promise<Server> {
  const { frontend } = await testPki();
  const { ca, client } = frontend;
  const [port, agentPort, adminPort, healthPort] = await Promise.all([
    pickPort(),
    pickPort(),
    pickPort(),
    pickPort(),
  ]);
  let address: FrontEnd['address'];
  let listenFlags: Flags;
  if (listener === 'uds') {
    address = { path: await udsPath(t, flags) };
    listenFlags = { 'uds-name': address.path, 'server-port': 0 };
  } else {
    address = { host: loopback, port, tls: { ca, cert: client.cert, key: client.key } };
    listenFlags = {
      'server-port': port,
      'server-bind-address': loopback,
      'server-ca-cert': frontend.caFile,
      'server-cert': frontend.server.certFile,
      'server-key': frontend.server.keyFile,
    };
  }
  const process = await start(t, kind, 'server', {
    ...(await commonServerFlags()),
    ...listenFlags,
    mode: protocol,
    'agent-port': agentPort,
    'admin-port': adminPort,
    'health-port': healthPort,
    v: 2,
    ...flags,
  });
  return {
    kind,
    process,
    agentPort: Number(flags['agent-port'] ?? agentPort),
    adminPort,
    frontEnds: [{ protocol, address }],
  };
}

/** The path in the flags, or one in a directory that the teardown removes. */
async function udsPath(t: Test, flags: Flags): Promise<string> {
  const given = flags['uds-name'];
  if (given !== undefined) return String(given);
  const directory = await makeTemporaryDirectory();
  t.teardown(() => directory.close());
  return join(directory.path, 's');
}

async function commonServerFlags(): Promise<Flags> {
  const { agent } = await testPki();
  return {
    'cluster-ca-cert': agent.caFile,
    'cluster-cert': agent.server.certFile,
    'cluster-key': agent.server.keyFile,
    'agent-bind-address': loopback,
    'admin-bind-address': loopback,
    'health-bind-address': loopback,
  };
}

/** Servers of a kind that together have every front end: one of Fairlead, or four of Konnectivity. */
export async function startServers(t: Test, kind: Kind, flags: Flags = {}): Promise<Server[]> {
  if (kind === 'fairlead') return [await startFairleadServer(t, flags)];
  return Promise.all(
    (['http-connect', 'grpc'] as const).flatMap((protocol) =>
      (['uds', 'tcp'] as const).map((listener) =>
        startKonnectivityServer(t, kind, protocol, listener, flags),
      ),
    ),
  );
}

/** Starts one server of a kind, with a front end for the protocol. */
export async function startServer(
  t: Test,
  kind: Kind,
  protocol: Protocol,
  flags: Flags = {},
): Promise<Server> {
  if (kind !== 'fairlead') return startKonnectivityServer(t, kind, protocol, 'uds', flags);
  const server = await startFairleadServer(t, flags);
  return {
    ...server,
    frontEnds: server.frontEnds.filter((frontEnd) => frontEnd.protocol === protocol),
  };
}

/** Starts an agent and waits until both sides have logged the connection. */
export async function startAgent(
  t: Test,
  kind: Kind,
  server: Server,
  flags: Flags = {},
): Promise<Agent> {
  const { agent } = await testPki();
  const [adminPort, healthPort] = await Promise.all([pickPort(), pickPort()]);
  const isConnectedLine = ({ msg }: { readonly msg: string }) => /agent connected/i.test(msg);
  const before = server.process.logs.filter(isConnectedLine).length;
  const process = await start(t, kind, 'agent', {
    'proxy-server-host': loopback,
    'proxy-server-port': server.agentPort,
    'ca-cert': agent.caFile,
    'agent-cert': agent.client.certFile,
    'agent-key': agent.client.keyFile,
    'agent-id': `node-${adminPort}`,
    'health-server-host': loopback,
    'health-server-port': healthPort,
    'admin-bind-address': loopback,
    'admin-server-port': adminPort,
    ...(kind === 'fairlead' ? { 'reconnect-min': '100ms', 'reconnect-max': '500ms' } : { v: 3 }),
    ...flags,
  });
  const started = { kind, process, adminPort };
  await waitUntilConnected(started);
  // The server can log the connection later than the agent.
  let seen = 0;
  await server.process.waitForLog((line) => {
    if (isConnectedLine(line)) seen += 1;
    return seen > before;
  });
  return started;
}

/** Waits until the agent has logged `times` connections. */
export async function waitUntilConnected({ kind, process }: Agent, times = 1): Promise<void> {
  const isConnectedMessage = (msg: string) =>
    kind === 'fairlead' ? msg === 'connected' : /Connect to server/.test(msg);
  let seen = 0;
  await process.waitForLog((line) => {
    if (isConnectedMessage(line.msg)) seen += 1;
    return seen >= times;
  });
}

/** A metric by its name, summed over its labels; NaN if no process listens. */
export async function readMetric(adminPort: number, name: string): Promise<number> {
  const answer = await fetch(`http://${loopback}:${adminPort}/metrics`).catch(() => undefined);
  if (!answer) return Number.NaN;
  const rows = (await answer.text()).split('\n');
  const values = rows.filter((row) => row.startsWith(`${name}{`) || row.startsWith(`${name} `));
  return values.reduce((sum, row) => sum + Number(row.split(' ').at(-1)), 0);
}

/** Waits until server and agent have no stream left. */
export async function untilNoStreams(server: Server, agent: Agent): Promise<void> {
  // Konnectivity's server does not update its gauges when a gRPC client disconnects.
  const hasCorrectGauges =
    server.kind === 'fairlead' || server.frontEnds[0]?.protocol === 'http-connect';
  if (hasCorrectGauges) await untilServerHasNoStreams(server);
  await eventually('the agent has no streams', async () => {
    const name = 'konnectivity_network_proxy_agent_open_endpoint_connections';
    return (await readMetric(agent.adminPort, name)) === 0;
  });
}

async function untilServerHasNoStreams(server: Server): Promise<void> {
  await eventually('the server has no streams', async () => {
    const open = await readMetric(
      server.adminPort,
      'konnectivity_network_proxy_server_established_connections',
    );
    const pending = await readMetric(
      server.adminPort,
      'konnectivity_network_proxy_server_pending_backend_dials',
    );
    return open === 0 && pending === 0;
  });
}
