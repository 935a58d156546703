/** Tokens and Leases between Fairlead and Konnectivity. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, KubernetesApi } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { type Kind, readMetric, startAgent, startServer } from './fixture.ts';
import { type Binaries, buildKonnectivity, goSkipReason, releases } from './konnectivity.ts';

const agentMetric = 'konnectivity_network_proxy_agent_known_server_count';

/** A Kubernetes API, and the flags to use it. By default Go's client uses protobuf. */
async function startApi(t: Test) {
  const api = await KubernetesApi.start();
  t.teardown(() => api.close());
  const flags = { kubeconfig: await api.kubeconfig(), 'kube-api-content-type': 'application/json' };
  return { api, flags };
}

async function testTokens(t: Test, server: Kind, agent: Kind): Promise<void> {
  const { api, flags } = await startApi(t);
  const started = await startServer(t, server, 'grpc', {
    ...flags,
    'cluster-ca-cert': '',
    'agent-namespace': 'kube-system',
    'agent-service-account': 'agent',
    'authentication-audience': 'servers',
  });
  api.owners.set('token', {
    username: 'system:serviceaccount:kube-system:agent',
    audiences: ['servers'],
  });
  const tokenFile = join(t.testdir({}), 'token');
  await writeFile(tokenFile, 'token');
  // Resolves when the server has admitted the agent.
  await startAgent(t, agent, started, {
    ...{ 'agent-cert': '', 'agent-key': '', 'service-account-token-path': tokenFile },
    ...(agent === 'fairlead' && { transport: 'grpc' }),
  });
  t.ok(api.count('POST review') >= 1);
}

async function testLeases(t: Test, go: Binaries): Promise<void> {
  const { api, flags } = await startApi(t);
  const leased = { ...flags, 'enable-lease-controller': 'true' };
  const fairlead = await startServer(t, 'fairlead', 'grpc', { ...leased, 'server-id': 'fairlead' });
  await startServer(t, go, 'grpc', { ...leased, 'server-id': 'konnectivity' });
  const names = () => api.leases.all('kube-system').map(({ metadata }) => metadata.name);
  await eventually('both servers have leases', () => names().length === 2);
  t.same(names().sort(), [
    'konnectivity-proxy-server-fairlead',
    'konnectivity-proxy-server-konnectivity',
  ]);
  await fairlead.process.waitForLog(
    ({ msg, count }) => msg === 'servers by their leases' && count === 2,
  );
  for (const kind of ['fairlead', go] as const) {
    const agent = await startAgent(t, kind, fairlead, { ...flags, 'count-server-leases': 'true' });
    await eventually('the agent counts both servers', async () => {
      return (await readMetric(agent.adminPort, agentMetric)) === 2;
    });
  }
}

const skipReason = await goSkipReason();
if (skipReason !== undefined) {
  t.comment(skipReason);
  t.pass(skipReason, { skip: skipReason });
} else {
  const go = await buildKonnectivity(releases.current);
  await t.test('a Fairlead server admits a Konnectivity agent with a token', (t) =>
    testTokens(t, 'fairlead', go),
  );
  await t.test('a Konnectivity server admits a Fairlead agent with a token', (t) =>
    testTokens(t, go, 'fairlead'),
  );
  await t.test('servers of both kinds create Leases, and agents of both kinds count them', (t) =>
    testLeases(t, go),
  );
}
