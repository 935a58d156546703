import t from 'tap';
import { loopback, startAgent, startServer } from '../support/fleet.ts';
import { usePacedTime } from '../support/paced-time.ts';
import { startBalancer } from './balancer.ts';
import { untilReady } from './requests.ts';
import { agentCount, restartInTurn, startTargets, timing } from './rolling-restart.ts';

t.test('loses no request if servers are behind a load balancer', async (t) => {
  usePacedTime(t);
  const targets = await startTargets(t, [loopback, loopback, loopback]);
  const options = { serverCount: 3, agentsSettleTime: 500, ...timing };
  const servers = await Promise.all(
    ['a', 'b', 'c'].map((id) => startServer(t, { serverId: id, ...options })),
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
  await restartInTurn(t, servers, targets, async (server) => {
    balancer.ports.delete(server.agentPort);
    const successor = await startServer(t, { serverId: `${server.id}-next`, ...options });
    balancer.ports.add(successor.agentPort);
    return successor;
  });
  t.ok(agents.every(({ agent }) => agent.isReady));
});
