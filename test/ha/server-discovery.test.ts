import t from 'tap';
import { loopback, metric, startAgent, startServer, type TestServer } from '../support/fleet.ts';
import { startBalancer } from './balancer.ts';

const ids = (count: number) => Array.from({ length: count }, (_, index) => `agent-${index}`);
const sorted = (server: TestServer) => server.agentIds().sort();

t.test('ten agents find three servers behind a load balancer, and a successor', async (t) => {
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
    t.equal(server.log.of('agent connected').length, 10, 'each agent connected once');
  }
  for (const { agent } of agents) {
    const health = { healthPort: agent.addresses.health.port };
    const prefix = 'konnectivity_network_proxy_agent_';
    t.equal(await metric(health, `${prefix}open_server_connections`), 3);
    t.equal(await metric(health, `${prefix}known_server_count`), 3);
  }
});

t.test('an agent connects to each address of a name, and to new ones', async (t) => {
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
  t.strictSame([a.agentIds(), b.agentIds()], [['x'], ['x']], 'a removed address closes no tunnel');
  await a.server.close();
  await log.line('disconnected');
  t.equal(log.of('connected').length, 3);
});

t.test('an agent keeps one tunnel to a server that it reaches by two addresses', async (t) => {
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

t.test('an agent connects to each host of a list', async (t) => {
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

t.test('a larger server count makes agents look for more servers', async (t) => {
  const a = await startServer(t, { serverId: 'a', serverCount: 1 });
  const balancer = await startBalancer(t, [a.agentPort]);
  await startAgent(t, balancer.port, { agentId: 'x' });
  await a.log.line('agent connected');
  const b = await startServer(t, { serverId: 'b', serverCount: 2 });
  balancer.ports.add(b.agentPort);
  // The agent learns the new count only from server b.
  balancer.ports.delete(a.agentPort);
  await a.server.close();
  await b.log.line('agent connected');
  const c = await startServer(t, { serverId: 'c', serverCount: 2 });
  balancer.ports.add(c.agentPort);
  await c.log.line('agent connected');
  t.strictSame([b.agentIds(), c.agentIds()], [['x'], ['x']]);
});
