/** Restarts, drains, stalls and migrations between Fairlead and Konnectivity. */
import { connectThrough, eventually, pickPort, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { type Client, clientFor } from './clients.ts';
import {
  type Agent,
  type Kind,
  nameOf,
  readMetric,
  type Server,
  startAgent,
  startServer,
  untilNoStreams,
  waitUntilConnected,
} from './fixture.ts';
import { type Binaries, buildKonnectivity, goSkipReason, releases } from './konnectivity.ts';
import { startEndlessTarget, startUnreadTarget } from './stalled-targets.ts';

function serverFlags(kind: Kind) {
  if (kind !== 'fairlead') return {};
  return { 'half-close-timeout': '500ms', 'stalled-stream-timeout': '1s' };
}

interface Setup {
  readonly server: Server;
  readonly agent: Agent;
  readonly client: Client;
  readonly echo: { readonly address: string; openConnections(): number };
}

type Kinds = readonly [server: Kind, agent: Kind];

async function setUp(t: Test, [server, agent]: Kinds, go: Binaries): Promise<Setup> {
  // These tests are about the agents' side. HTTP CONNECT shows a client's half-close, unlike gRPC.
  const started = await startServer(t, server, 'http-connect', serverFlags(server));
  const connected = await startAgent(t, agent, started, {
    ...(agent === 'fairlead' && { 'stalled-stream-timeout': '1s' }),
  });
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const { host, port } = target;
  const echo = { address: `${host}:${port}`, openConnections: () => target.openConnections };
  const client = clientFor(t, started.frontEnds[0]!, go);
  return { server: started, agent: connected, client, echo };
}

const serverCalls = 'konnectivity_network_proxy_server_ready_backend_connections';

/** Waits until the server has `count` tunnels; agents can share an ID. */
async function untilAgents(server: Server, count: number): Promise<void> {
  await eventually(`the server has ${count} agents`, async () => {
    return (await readMetric(server.adminPort, serverCalls)) === count;
  });
}

async function testRestarts(t: Test, kinds: Kinds, go: Binaries): Promise<void> {
  await t.test('serves again after the agent is killed and restarted', async (t) => {
    const { server, agent, client, echo } = await setUp(t, kinds, go);
    await client.echo(echo.address, 1000);
    const connection = await client.keepOpen(echo.address);
    agent.process.kill('SIGKILL');
    await t.rejects(connection.finish(), 'open connections end');
    await untilAgents(server, 0);
    t.not((await client.failToDial(echo.address)).status, 200);
    await startAgent(t, kinds[1], server);
    await client.echo(echo.address, 1000);
  });

  await t.test('serves again after the server is killed and restarted', async (t) => {
    const { server, agent, client, echo } = await setUp(t, kinds, go);
    await client.echo(echo.address, 1000);
    server.process.kill('SIGKILL');
    await server.process.exit;
    const { address } = server.frontEnds[0]!;
    const next = await startServer(t, kinds[0], 'http-connect', {
      ...serverFlags(kinds[0]),
      'agent-port': server.agentPort,
      ...('path' in address && { 'uds-name': address.path }),
    });
    await waitUntilConnected(agent, 2);
    await untilAgents(next, 1);
    await client.echo(echo.address, 1000);
  });
}

async function testSharedServer(t: Test, kinds: Kinds, go: Binaries): Promise<void> {
  await t.test('serves through two agents with the same ID', async (t) => {
    const { server, agent, client, echo } = await setUp(t, kinds, go);
    const [first, second] = await Promise.all([
      startAgent(t, kinds[1], server, { 'agent-id': 'twin' }),
      startAgent(t, kinds[1], server, { 'agent-id': 'twin' }),
    ]);
    await client.echo(echo.address, 64 * 1024, 60);
    for (const one of [agent, first, second]) await untilNoStreams(server, one);
  });

  await t.test('an agent drains with an open connection', async (t) => {
    const { server, agent, client, echo } = await setUp(t, kinds, go);
    const connection = await client.keepOpen(echo.address);
    const other = await startAgent(t, kinds[1], server);
    await untilAgents(server, 2);
    agent.process.kill('SIGTERM');
    // Konnectivity's agent announces its drain only after it receives another packet.
    for (let count = 0; count < 10; count += 1) await client.echo(echo.address, 1000);
    await connection.finish();
    await client.echo(echo.address, 64 * 1024, 20);
    if (agent.kind === 'fairlead') t.same(await agent.process.exit, { code: 0, signal: null });
    await untilNoStreams(server, other);
  });
}

/** Konnectivity's protocol has no credit per stream, so a stalled stream delays the others for a bounded time. */
async function testStalls(t: Test, kinds: Kinds, go: Binaries): Promise<void> {
  if (kinds[0] === 'fairlead') {
    await t.test('a client that stops reading delays others for a bounded time', async (t) => {
      const { server, agent, client, echo } = await setUp(t, kinds, go);
      const source = await startEndlessTarget(t);
      const { address } = server.frontEnds[0]!;
      const { socket } = await connectThrough({ via: address, target: source });
      t.teardown(() => socket.destroy());
      await eventually('the tunnel is paused', async () => {
        const name = 'konnectivity_network_proxy_server_full_receive_channels';
        return (await readMetric(server.adminPort, name)) > 0;
      });
      await client.echo(echo.address, 256 * 1024, 10);
      socket.on('error', () => {}).resume();
      await untilNoStreams(server, agent);
    });
  }
  if (kinds[1] === 'fairlead') {
    await t.test('a target that stops reading delays others for a bounded time', async (t) => {
      const { server, agent, client, echo } = await setUp(t, kinds, go);
      const unread = await startUnreadTarget(t);
      const { address } = server.frontEnds[0]!;
      const { socket } = await connectThrough({ via: address, target: unread });
      socket.on('error', () => {});
      t.teardown(() => socket.destroy());
      const chunk = Buffer.alloc(1024 * 1024);
      // Far more than all buffers between client and target can hold.
      for (let count = 0; count < 64; count += 1) socket.write(chunk);
      await new Promise((resolve) => socket.once('close', resolve).resume());
      await client.echo(echo.address, 256 * 1024, 10);
      await untilNoStreams(server, agent);
    });
  }
}

/** Replaces each program by its counterpart under load, and back. */
async function testMigration(t: Test, go: Binaries): Promise<void> {
  const { server, agent, client, echo } = await setUp(t, [go, go], go);
  const addresses = {
    'agent-port': server.agentPort,
    'uds-name': (server.frontEnds[0]!.address as { path: string }).path,
  };
  let requests = 0;
  /** Sends requests without a pause during `work`. Each must succeed. */
  const underLoad = async (work: () => Promise<void>) => {
    let isOver = false;
    const load = async () => {
      while (!isOver) {
        await client.echo(echo.address, 10_000);
        requests += 1;
      }
    };
    const loads = Promise.all([load(), load(), load()]);
    await Promise.race([loads, work()]);
    isOver = true;
    await loads;
  };
  /** Starts the successor, then drains the old agent. */
  const replaceAgent = async (at: Server, old: Agent, kind: Kind): Promise<Agent> => {
    let next = old;
    await underLoad(async () => {
      next = await startAgent(t, kind, at);
      await untilAgents(at, 2);
      old.process.kill('SIGTERM');
      // Fairlead's agent exits after its drain. Konnectivity's drains at the first signal and exits at the second.
      if (old.kind !== 'fairlead') {
        await at.process.waitForLog(({ msg }) => /agent drains|agent is draining/.test(msg));
        await untilIdle(old);
        old.process.kill('SIGTERM');
      }
      await old.process.exit;
    });
    return next;
  };
  /** Sends no requests while the server is being replaced, since it is the only one. */
  const replaceServer = async (old: Server, agent: Agent, kind: Kind): Promise<Server> => {
    await old.process.close();
    const next = await startServer(t, kind, 'http-connect', {
      ...addresses,
      ...serverFlags(kind),
    });
    await untilAgents(next, 1);
    await underLoad(() => untilBusy(agent));
    return next;
  };
  const fairleadAgent = await replaceAgent(server, agent, 'fairlead');
  const fairleadServer = await replaceServer(server, fairleadAgent, 'fairlead');
  const konnectivityAgent = await replaceAgent(fairleadServer, fairleadAgent, go);
  const secondAgent = await replaceAgent(fairleadServer, konnectivityAgent, 'fairlead');
  const konnectivityServer = await replaceServer(fairleadServer, secondAgent, go);
  await replaceAgent(konnectivityServer, secondAgent, go);
  t.comment(`${requests} requests`);
  t.ok(requests > 50);
}

const openConnections = 'konnectivity_network_proxy_agent_open_endpoint_connections';

async function untilBusy({ adminPort }: Agent): Promise<void> {
  const isBusy = async () => (await readMetric(adminPort, openConnections)) > 0;
  await eventually('the agent has an open connection', isBusy);
}

async function untilIdle({ adminPort }: Agent): Promise<void> {
  const isIdle = async () => (await readMetric(adminPort, openConnections)) === 0;
  await eventually('the agent has no open connection', isIdle);
}

const skipReason = await goSkipReason();
if (skipReason) {
  t.pass(skipReason, { skip: skipReason });
} else {
  const go = await buildKonnectivity(releases.current);
  const pairings: Kinds[] = [
    ['fairlead', go],
    [go, 'fairlead'],
  ];
  for (const kinds of pairings) {
    await t.test(`${nameOf(kinds[0])} server, ${nameOf(kinds[1])} agent`, async (t) => {
      await testRestarts(t, kinds, go);
      await testSharedServer(t, kinds, go);
      await testStalls(t, kinds, go);
    });
  }
  await t.test('serves 10,000 calls on one gRPC connection', async (t) => {
    const server = await startServer(t, 'fairlead', 'grpc', { 'agent-port': await pickPort() });
    const agent = await startAgent(t, go, server);
    const target = await startEchoTarget();
    t.teardown(() => target.close());
    const client = clientFor(t, server.frontEnds[0]!, go);
    await client.reuse(`${target.host}:${target.port}`, 10_000);
    await untilNoStreams(server, agent);
  });
  await t.test('loses no request in a migration from Konnectivity and back', (t) =>
    testMigration(t, go),
  );
}
