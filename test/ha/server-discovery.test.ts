import t from 'tap';
import { loopback, metric, startAgent, startServer, type TestServer } from '../support/fleet.ts';
import { startBalancer } from './balancer.ts';

const ids = (count: number) => Array.from({ length: count }, (_, index) => `agent-${index}`);
const sorted = (server: TestServer) => server.agentIds().sort();

t.test('ten agents find three servers behind a random balancer, and a successor', async (t) => {
  const servers = await Promise.all(
    ['a', 'b', 'c'].map((id) => startServer(t, { serverId: id, serverCount: 3 })),
  );
  const balancer = await startBalancer(
    t,
    servers.map(({ agentPort }) => agentPort),
  );
  const agents = await Promise.all(
    ids(10).map((agentId) => startAgent(t, balancer.port, { agentId })),
  );
  for (const server of servers) await server.untilAgents(10);
  for (const server of servers) t.strictSame(sorted(server), ids(10));

  const [first, ...others] = servers;
  balancer.ports.delete(first!.agentPort);
  await first!.server.close();
  const successor = await startServer(t, { serverId: 'd', serverCount: 3 });
  balancer.ports.add(successor.agentPort);
  await successor.untilAgents(10);
  t.strictSame(sorted(successor), ids(10));
  for (const server of [...others, successor]) {
    t.equal(server.log.of('agent connected').length, 10, 'none was a backend twice');
  }
  for (const { agent } of agents) {
    const health = { healthPort: agent.addresses.health.port };
    const prefix = 'konnectivity_network_proxy_agent_';
    t.equal(await metric(health, `${prefix}open_server_connections`), 3);
    t.equal(await metric(health, `${prefix}known_server_count`), 3);
  }
});

t.test('each address of a name is another server; those that come are found', async (t) => {
  const addresses = [loopback, '127.0.0.2'];
  const a = await startServer(t, { serverId: 'a' });
  const onPort = { agentPort: a.agentPort };
  const b = await startServer(t, { serverId: 'b', ...onPort, agentBindAddress: '127.0.0.2' });
  const c = await startServer(t, { serverId: 'c', ...onPort, agentBindAddress: '127.0.0.3' });
  const { log } = await startAgent(
    t,
    a.agentPort,
    { agentId: 'x', proxyServerHost: ['localhost'], resolveInterval: 20 },
    async (name) => {
      t.equal(name, 'localhost');
      return addresses.map((address) => ({ address, family: 4 }));
    },
  );
  for (const server of [a, b]) await server.untilAgents(1);
  t.strictSame([a.agentIds(), b.agentIds(), c.agentIds()], [['x'], ['x'], []]);

  addresses.splice(0, 1, '127.0.0.3');
  await c.log.line('agent connected');
  t.strictSame([a.agentIds(), b.agentIds()], [['x'], ['x']], 'an address that goes cuts nothing');
  await a.server.close();
  await log.line('disconnected');
  t.equal(log.of('connected').length, 3);
});

t.test('two ways to one server are one tunnel, and the second steps in', async (t) => {
  const server = await startServer(t, { serverId: 'a' });
  const balancer = await startBalancer(t, [server.agentPort]);
  const { log } = await startAgent(
    t,
    server.agentPort,
    { agentId: 'x', proxyServerHost: ['localhost'] },
    async () => [
      { address: loopback, family: 4 },
      { address: '127.0.0.1', family: 4 },
    ],
  );
  await startAgent(t, balancer.port, { agentId: 'y' });
  await server.untilAgents(2);
  t.strictSame(sorted(server), ['x', 'y']);
  t.equal(log.of('connected').length, 1);
});

t.test('a list of hosts: each gets a tunnel', async (t) => {
  const a = await startServer(t, { serverId: 'a' });
  const b = await startServer(t, {
    serverId: 'b',
    agentPort: a.agentPort,
    agentBindAddress: '127.0.0.2',
  });
  await startAgent(t, a.agentPort, {
    agentId: 'x',
    serverName: 'localhost',
    proxyServerHost: [loopback, '127.0.0.2'],
  });
  for (const server of [a, b]) await server.untilAgents(1);
  t.strictSame([a.agentIds(), b.agentIds()], [['x'], ['x']]);
});

t.test('a server that raises its count makes agents look for more', async (t) => {
  const a = await startServer(t, { serverId: 'a', serverCount: 1 });
  const balancer = await startBalancer(t, [a.agentPort]);
  await startAgent(t, balancer.port, { agentId: 'x' });
  await a.log.line('agent connected');
  const b = await startServer(t, { serverId: 'b', serverCount: 2 });
  balancer.ports.add(b.agentPort);
  // Only its restarted neighbor announces it to the agent.
  balancer.ports.delete(a.agentPort);
  await a.server.close();
  await b.log.line('agent connected');
  const c = await startServer(t, { serverId: 'c', serverCount: 2 });
  balancer.ports.add(c.agentPort);
  await c.log.line('agent connected');
  t.strictSame([b.agentIds(), c.agentIds()], [['x'], ['x']]);
});
