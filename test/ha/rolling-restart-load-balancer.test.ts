import t from 'tap';
import { loopback, startAgent, startServer } from '../support/fleet.ts';
import { passTime } from '../support/paced-time.ts';
import { startBalancer } from './balancer.ts';
import { untilReady } from './requests.ts';
import { agentCount, roll, startTargets, timing } from './rolling-restart.ts';

t.test('behind a random balancer, any agent will do', async (t) => {
  passTime(t);
  const targets = await startTargets(t, [loopback, loopback, loopback]);
  const given = { serverCount: 3, agentsSettleTime: 500, ...timing };
  const servers = await Promise.all(
    ['a', 'b', 'c'].map((id) => startServer(t, { serverId: id, ...given })),
  );
  const balancer = await startBalancer(
    t,
    servers.map(({ agentPort }) => agentPort),
  );
  const agents = await Promise.all(
    Array.from({ length: agentCount }, (_, index) =>
      startAgent(t, balancer.port, { agentId: `agent-${index}` }),
    ),
  );
  for (const server of servers) await server.untilAgents(agentCount);
  for (const server of servers) await untilReady(server);
  await roll(t, servers, targets, async (server) => {
    balancer.ports.delete(server.agentPort);
    const successor = await startServer(t, { serverId: `${server.id}-next`, ...given });
    balancer.ports.add(successor.agentPort);
    return successor;
  });
  t.ok(agents.every(({ agent }) => agent.isReady));
});
