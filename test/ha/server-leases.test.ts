/** Agents follow the Leases of servers that start, stop and vanish. */
import { eventually, KubernetesApi, pickPort } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { loopback, startAgent, startServer, type TestServer } from '../support/fleet.ts';
import { usePacedTime } from '../support/paced-time.ts';
import { startBalancer } from './balancer.ts';

const namespace = 'kube-system';
const labels = { 'k8s-app': 'konnectivity-server' };
const addressKey = 'fairlead/agent-address';

async function startApi(t: Test): Promise<KubernetesApi> {
  const api = await KubernetesApi.start();
  t.teardown(() => api.close());
  return api;
}

/** Names of the Leases, without their common prefix. */
const leaseIds = (api: KubernetesApi): string[] =>
  api.leases
    .all(namespace)
    .map(({ metadata }) => metadata.name.replace('konnectivity-proxy-server-', ''))
    .sort();

/** Creates the Lease of a server that does not run here. */
function createLease(
  api: KubernetesApi,
  id: string,
  durationSeconds = 3_600,
  address?: string,
): void {
  api.leases.create(namespace, {
    metadata: {
      name: `konnectivity-proxy-server-${id}`,
      labels,
      ...(address !== undefined && { annotations: { [addressKey]: address } }),
    },
    spec: { holderIdentity: id, ...leaseTimes(durationSeconds) },
  });
}

const leaseTimes = (leaseDurationSeconds: number) => ({
  leaseDurationSeconds,
  renewTime: new Date().toISOString().replace('Z', '000Z'),
});

async function metrics(port: number): Promise<string> {
  return (await fetch(`http://${loopback}:${port}/metrics`)).text();
}

t.test('agents follow servers that start and stop, also after an outage of the API', async (t) => {
  usePacedTime(t);
  const api = await startApi(t);
  const kubeconfig = await api.kubeconfig();
  const start = async (serverId: string): Promise<TestServer> => {
    const agentPort = await pickPort();
    return startServer(t, {
      ...{ serverId, kubeconfig, enableLeaseController: true, shutdownDelay: 0 },
      ...{ agentPort, advertiseAgentAddress: { host: loopback, port: agentPort } },
    });
  };
  const first = await start('a');
  const agents = await Promise.all(['x', 'y'].map((agentId) => startAgent(t, first, { agentId })));
  await first.untilAgents(2);

  const startedAtMs = performance.now();
  const [second, third] = await Promise.all([start('b'), start('c')]);
  await Promise.all([second.untilAgents(2), third.untilAgents(2)]);
  const tookMs = performance.now() - startedAtMs;
  t.ok(tookMs < 15_000, `agents are connected to both new servers after ${tookMs} ms`);
  t.same(leaseIds(api), ['a', 'b', 'c']);

  await second.server.drain();
  t.same(leaseIds(api), ['a', 'c'], 'a server that drains deletes its Lease');
  await Promise.all(agents.map(({ log }) => log.line('peer removed')));

  await api.pause();
  await first.log.line('cannot watch leases, known leases stay valid');
  const fourth = await start('d');
  await fourth.log.line('cannot renew lease');
  await api.resume();
  await fourth.untilAgents(2);
  t.same(leaseIds(api), ['a', 'c', 'd']);
  t.equal(third.log.of('agent connected').length, 2, 'no tunnel was lost meanwhile');
  const text = await metrics(first.healthPort);
  const prefix = 'konnectivity_network_proxy_server_';
  t.match(text, new RegExp(`${prefix}lease_list_total{http_response_code="200",reason=""} \\d`));
  t.match(
    text,
    new RegExp(`${prefix}lease_list_latency_seconds_count{http_response_code="200"} \\d`),
  );
  t.match(text, `${prefix}culled_leases_count 0`);
});

const counts = ({ log }: TestServer) => log.of('servers by their leases').map(({ count }) => count);

t.test('a server without a valid Lease is removed from the peers and the count', async (t) => {
  usePacedTime(t);
  const api = await startApi(t);
  createLease(api, 'lost', 3_600, '127.0.0.9:1');
  createLease(api, 'odd', 3_600, 'not an address');
  const server = await startServer(t, {
    serverId: 'a',
    enableLeaseController: true,
    kubeconfig: await api.kubeconfig(),
    advertiseAgentAddress: { host: loopback, port: 1 },
  });
  const { log } = await startAgent(t, server.agentPort, { agentId: 'x' });
  await log.line('peer added', ({ server }) => server === '127.0.0.9:1');
  // The Lease has just been renewed for the last time, and expires in a second.
  const name = 'konnectivity-proxy-server-lost';
  const { metadata, spec } = api.leases.get(namespace, name);
  api.leases.update(namespace, name, { metadata, spec: { ...spec, ...leaseTimes(1) } });
  await log.line('peer removed', ({ server }) => server === '127.0.0.9:1');
  t.same(counts(server), [3, 2]);
  await eventually('the lost lease is deleted', () => !leaseIds(api).includes('lost'));
  t.match(await metrics(server.healthPort), 'culled_leases_count 1');
  // A server creates its Lease again if another client deletes it.
  api.leases.delete(namespace, 'konnectivity-proxy-server-a');
  await eventually('the server has created its lease again', () => leaseIds(api).includes('a'));
  await server.server.close();
  t.notOk(leaseIds(api).includes('a'));
});

t.test('merges peers from Leases and from --peers-file', async (t) => {
  const api = await startApi(t);
  createLease(api, 'b', 3_600, '10.0.0.2:8091');
  const peersFile = `${t.testdir({ peers: '["10.0.0.3:8091", "10.0.0.2:8091"]' })}/peers`;
  const server = await startServer(t, {
    serverId: 'a',
    enableLeaseController: true,
    kubeconfig: await api.kubeconfig(),
    advertiseAgentAddress: { host: '10.0.0.1', port: 8091 },
    peersFile,
  });
  await server.log.line('servers by their leases');
  createLease(api, 'c', 3_600, '[fd00::1]:8091');
  const peers = () => server.log.of('peers for agents').at(-1)?.peers;
  await server.log.line('peers for agents', ({ peers }) => String(peers).includes('fd00'));
  t.same(peers(), ['10.0.0.1:8091', '10.0.0.3:8091', '10.0.0.2:8091', '[fd00::1]:8091']);
});

t.test('sends the count of Leases to agents over both protocols', async (t) => {
  const api = await startApi(t);
  for (const id of ['b', 'c']) createLease(api, id);
  const server = await startServer(t, {
    serverId: 'a',
    enableLeaseController: true,
    kubeconfig: await api.kubeconfig(),
  });
  await server.log.line('servers by their leases');
  const { healthPort } = server;
  t.match(await metrics(healthPort), 'culled_leases_count 0');
  for (const transport of ['tls', 'grpc'] as const) {
    const { agent, log } = await startAgent(t, server.agentPort, { agentId: transport, transport });
    await log.line('connected');
    const known = `known_server_count 3\n`;
    const text = await metrics(agent.addresses.health.port);
    t.match(text, known, transport);
  }
});

t.test('an agent counts the Leases with --count-server-leases', async (t) => {
  const api = await startApi(t);
  const kubeconfig = await api.kubeconfig();
  const servers = [
    await startServer(t, { serverId: 'a' }),
    await startServer(t, { serverId: 'b' }),
  ];
  const balancer = await startBalancer(
    t,
    servers.map(({ agentPort }) => agentPort),
  );
  createLease(api, 'a');
  const known = async (port: number, count: number) =>
    eventually(`the agent counts ${count}`, async () =>
      (await metrics(port)).includes(`known_server_count ${count}\n`),
    );
  const options = { countServerLeases: true, kubeconfig };
  const { agent, log } = await startAgent(t, balancer.port, { agentId: 'x', ...options });
  await log.line('connected');
  t.equal(log.of('connected').length, 1);
  createLease(api, 'b');
  await Promise.all(servers.map((server) => server.log.line('agent connected')));
  await log.lineAfter(1, 'connected');
  t.equal(log.of('connected').length, 2, 'connected to each server once');

  const { port } = agent.addresses.health;
  api.leases.delete(namespace, 'konnectivity-proxy-server-b');
  await known(port, 1);
  api.leases.delete(namespace, 'konnectivity-proxy-server-a');
  await log.line('no server has a valid Lease, the last known count stays in use');
  const text = await metrics(port);
  const prefix = 'konnectivity_network_proxy_agent_';
  t.match(text, 'known_server_count 1\n');
  t.match(text, `${prefix}lease_lists_total{http_response_code="200",reason=""} 1\n`);
  t.match(text, `${prefix}lease_watches_total{http_response_code="200",reason=""} 1\n`);
  t.match(text, `${prefix}lease_list_latency_seconds_count{http_response_code="200"} 1\n`);
});

t.test('--server-count-source=max takes the larger of both counts', async (t) => {
  const api = await startApi(t);
  createLease(api, 'a');
  const server = await startServer(t, { serverId: 'a', serverCount: 4 });
  for (const [serverCountSource, count] of [
    ['default', 1],
    ['max', 4],
  ] as const) {
    const { agent, log } = await startAgent(t, server.agentPort, {
      ...{ countServerLeases: true, kubeconfig: await api.kubeconfig(), serverCountSource },
      agentId: serverCountSource,
    });
    await Promise.all([log.line('connected'), log.line('servers by their leases')]);
    const text = await metrics(agent.addresses.health.port);
    t.match(text, `known_server_count ${count}\n`, serverCountSource);
  }
});
