/** What happens to the other side when a process comes, goes or stalls. */
import { connectThrough, pickPort, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { type Client, clientFor } from './clients.ts';
import {
  type Agent,
  eventually,
  expectNoLeak,
  type Kind,
  nameOf,
  readMetric,
  type Server,
  startAgent,
  startServer,
  waitUntilConnected,
} from './fixture.ts';
import { type Binaries, buildKonnectivity, releases, whyNoGo } from './konnectivity.ts';
import { startMuteTarget, startPouringTarget } from './stalled-targets.ts';

function serverFlags(kind: Kind) {
  if (kind !== 'ours') return {};
  return { 'half-close-timeout': '500ms', 'stalled-stream-timeout': '1s' };
}

interface Setting {
  readonly server: Server;
  readonly agent: Agent;
  readonly client: Client;
  readonly echo: { readonly address: string; openConnections(): number };
}

type Kinds = readonly [server: Kind, agent: Kind];

async function setUp(t: Test, [server, agent]: Kinds, go: Binaries): Promise<Setting> {
  // What is tried is the agents' side; by HTTP CONNECT a client's end shows as what it is.
  const started = await startServer(t, server, 'http-connect', serverFlags(server));
  const joined = await startAgent(t, agent, started, {
    ...(agent === 'ours' && { 'stalled-stream-timeout': '1s' }),
  });
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const { host, port } = target;
  const echo = { address: `${host}:${port}`, openConnections: () => target.openConnections };
  const client = clientFor(t, started.frontEnds[0]!, go);
  return { server: started, agent: joined, client, echo };
}

const serverCalls = 'konnectivity_network_proxy_server_ready_backend_connections';

/** The server has so many agents; by connection, where agents may share an ID. */
function untilAgents(server: Server, count: number): Promise<void> {
  return eventually(`the server has ${count} agents`, async () => {
    return (await readMetric(server.adminPort, serverCalls)) === count;
  });
}

async function tryRestarts(t: Test, kinds: Kinds, go: Binaries): Promise<void> {
  await t.test('the agent is killed and comes back', async (t) => {
    const { server, agent, client, echo } = await setUp(t, kinds, go);
    await client.echo(echo.address, 1000);
    const held = await client.hold(echo.address);
    agent.process.kill('SIGKILL');
    await t.rejects(held.finish(), 'its connections end');
    await untilAgents(server, 0);
    t.not((await client.failToDial(echo.address)).status, 200);
    await startAgent(t, kinds[1], server);
    await client.echo(echo.address, 1000);
  });

  await t.test('the server is killed and comes back at the same address', async (t) => {
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

async function tryCompany(t: Test, kinds: Kinds, go: Binaries): Promise<void> {
  await t.test('two agents with one ID', async (t) => {
    const { server, agent, client, echo } = await setUp(t, kinds, go);
    const [first, second] = await Promise.all([
      startAgent(t, kinds[1], server, { 'agent-id': 'twin' }),
      startAgent(t, kinds[1], server, { 'agent-id': 'twin' }),
    ]);
    await client.echo(echo.address, 64 * 1024, 60);
    for (const one of [agent, first, second]) await expectNoLeak(server, one);
  });

  await t.test('an agent drains with a connection open', async (t) => {
    const { server, agent, client, echo } = await setUp(t, kinds, go);
    const held = await client.hold(echo.address);
    const other = await startAgent(t, kinds[1], server);
    await untilAgents(server, 2);
    agent.process.kill('SIGTERM');
    // Konnectivity's agent says so only after the next packet has come to it.
    for (let count = 0; count < 10; count += 1) await client.echo(echo.address, 1000);
    await held.finish();
    await client.echo(echo.address, 64 * 1024, 20);
    if (agent.kind === 'ours') t.same(await agent.process.exit, { code: 0, signal: null });
    await expectNoLeak(server, other);
  });
}

/** The wire has no credit per connection: a stalled one may hold the others for a while only. */
async function tryStalls(t: Test, kinds: Kinds, go: Binaries): Promise<void> {
  if (kinds[0] === 'ours') {
    await t.test('a client that stops reading holds the others for a moment only', async (t) => {
      const { server, agent, client, echo } = await setUp(t, kinds, go);
      const source = await startPouringTarget(t);
      const { address } = server.frontEnds[0]!;
      const { socket } = await connectThrough({ via: address, target: source });
      t.teardown(() => socket.destroy());
      await eventually('the tunnel is held up', async () => {
        const name = 'konnectivity_network_proxy_server_full_receive_channels';
        return (await readMetric(server.adminPort, name)) > 0;
      });
      await client.echo(echo.address, 256 * 1024, 10);
      socket.on('error', () => {}).resume();
      await expectNoLeak(server, agent);
    });
  }
  if (kinds[1] === 'ours') {
    await t.test('a target that stops reading holds the others for a moment only', async (t) => {
      const { server, agent, client, echo } = await setUp(t, kinds, go);
      const mute = await startMuteTarget(t);
      const { address } = server.frontEnds[0]!;
      const { socket } = await connectThrough({ via: address, target: mute });
      socket.on('error', () => {});
      t.teardown(() => socket.destroy());
      const piece = Buffer.alloc(1024 * 1024);
      // Far more than all buffers on the way to the target take.
      for (let count = 0; count < 64; count += 1) socket.write(piece);
      await new Promise((resolve) => socket.once('close', resolve).resume());
      await client.echo(echo.address, 256 * 1024, 10);
      await expectNoLeak(server, agent);
    });
  }
}

/** One process after the other is replaced by its counterpart, under load, and back. */
async function tryMigration(t: Test, go: Binaries): Promise<void> {
  const { server, agent, client, echo } = await setUp(t, [go, go], go);
  const place = {
    'agent-port': server.agentPort,
    'uds-name': (server.frontEnds[0]!.address as { path: string }).path,
  };
  let requests = 0;
  /** Requests without a pause while `work` goes on; each must succeed. */
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
  /** The successor joins, the other drains and leaves. */
  const replaceAgent = async (at: Server, old: Agent, kind: Kind): Promise<Agent> => {
    let next = old;
    await underLoad(async () => {
      next = await startAgent(t, kind, at);
      await untilAgents(at, 2);
      old.process.kill('SIGTERM');
      // Ours ends by itself. Konnectivity's drains at the first signal, and ends at once at the second.
      if (old.kind !== 'ours') {
        await at.process.waitForLog(({ msg }) => /agent drains|agent is draining/.test(msg));
        await expectNothingOpen(old);
        old.process.kill('SIGTERM');
      }
      await old.process.exit;
    });
    return next;
  };
  /** With one server there is a moment without any server. No request is sent then. */
  const replaceServer = async (old: Server, behind: Agent, kind: Kind): Promise<Server> => {
    await old.process.close();
    const next = await startServer(t, kind, 'http-connect', {
      ...place,
      ...serverFlags(kind),
    });
    await untilAgents(next, 1);
    await underLoad(() => expectWork(behind));
    return next;
  };
  const ourAgent = await replaceAgent(server, agent, 'ours');
  const ourServer = await replaceServer(server, ourAgent, 'ours');
  const goAgent = await replaceAgent(ourServer, ourAgent, go);
  const secondAgent = await replaceAgent(ourServer, goAgent, 'ours');
  const goServer = await replaceServer(ourServer, secondAgent, go);
  await replaceAgent(goServer, secondAgent, go);
  t.comment(`${requests} requests`);
  t.ok(requests > 50);
}

const openConnections = 'konnectivity_network_proxy_agent_open_endpoint_connections';

function expectWork({ adminPort }: Agent): Promise<void> {
  const isAtWork = async () => (await readMetric(adminPort, openConnections)) > 0;
  return eventually('the agent is at work', isAtWork);
}

function expectNothingOpen({ adminPort }: Agent): Promise<void> {
  const isIdle = async () => (await readMetric(adminPort, openConnections)) === 0;
  return eventually('the agent has nothing open', isIdle);
}

const whyNot = await whyNoGo();
if (whyNot) {
  t.pass(whyNot, { skip: whyNot });
} else {
  const go = await buildKonnectivity(releases.current);
  const pairings: Kinds[] = [
    ['ours', go],
    [go, 'ours'],
  ];
  for (const kinds of pairings) {
    await t.test(`${nameOf(kinds[0])} server, ${nameOf(kinds[1])} agent`, async (t) => {
      await tryRestarts(t, kinds, go);
      await tryCompany(t, kinds, go);
      await tryStalls(t, kinds, go);
    });
  }
  await t.test('10,000 calls on one gRPC connection', async (t) => {
    const server = await startServer(t, 'ours', 'grpc', { 'agent-port': await pickPort() });
    const agent = await startAgent(t, go, server);
    const target = await startEchoTarget();
    t.teardown(() => target.close());
    const client = clientFor(t, server.frontEnds[0]!, go);
    await client.reuse(`${target.host}:${target.port}`, 10_000);
    await expectNoLeak(server, agent);
  });
  await t.test('a migration, and back', (t) => tryMigration(t, go));
}
