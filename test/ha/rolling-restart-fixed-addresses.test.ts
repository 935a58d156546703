import t from 'tap';
import { loopback, startAgent, startServer } from '../support/fleet.ts';
import { usePacedTime } from '../support/paced-time.ts';
import { untilReady } from './requests.ts';
import { agentCount, restartInTurn, startTargets, timing } from './rolling-restart.ts';

t.test('loses no request if servers have fixed addresses', async (t) => {
  usePacedTime(t);
  const hosts = Array.from({ length: agentCount }, (_, index) => `127.0.1.${index + 1}`);
  const targets = await startTargets(t, hosts);
  const addresses = [loopback, '127.0.0.2', '127.0.0.3'];
  const options = {
    serverCount: 3,
    proxyStrategies: ['destHost'] as const,
    agentsSettleTime: 1_500,
    ...timing,
  };
  const first = await startServer(t, { serverId: 'a', ...options });
  const { agentPort } = first;
  const servers = [first];
  for (const agentBindAddress of addresses.slice(1)) {
    servers.push(
      await startServer(t, {
        serverId: agentBindAddress,
        ...options,
        agentPort,
        agentBindAddress,
      }),
    );
  }
  for (const [index, host] of hosts.entries()) {
    await startAgent(t, agentPort, {
      agentId: `agent-${index}`,
      agentIdentifiers: `ipv4=${host}`,
      proxyServerHost: addresses,
      serverName: 'localhost',
    });
  }
  for (const server of servers) await server.untilAgents(agentCount);
  for (const server of servers) await untilReady(server);
  await restartInTurn(t, servers, targets, (server, at) =>
    startServer(t, {
      serverId: `${server.id}-next`,
      ...options,
      agentPort,
      agentBindAddress: addresses[at]!,
    }),
  );
});
