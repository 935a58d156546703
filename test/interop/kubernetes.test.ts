/** Tokens and Leases with real Konnectivity on the other side. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KubernetesApi } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { eventually, type Kind, readMetric, startAgent, startServer } from './fixture.ts';
import { type Binaries, buildKonnectivity, releases, whyNoGo } from './konnectivity.ts';

const agentMetric = 'konnectivity_network_proxy_agent_known_server_count';

/** An API, and the flags that lead to it. Go's client would speak protobuf. */
async function startApi(t: Test) {
  const api = await KubernetesApi.start();
  t.teardown(() => api.close());
  const flags = { kubeconfig: await api.kubeconfig(), 'kube-api-content-type': 'application/json' };
  return { api, flags };
}

async function tryTokens(t: Test, server: Kind, agent: Kind): Promise<void> {
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
  // It resolves when the server has the agent.
  await startAgent(t, agent, started, {
    ...{ 'agent-cert': '', 'agent-key': '', 'service-account-token-path': tokenFile },
    ...(agent === 'ours' && { transport: 'grpc' }),
  });
  t.ok(api.count('POST review') >= 1);
}

async function tryLeases(t: Test, go: Binaries): Promise<void> {
  const { api, flags } = await startApi(t);
  const leased = { ...flags, 'enable-lease-controller': 'true' };
  const ours = await startServer(t, 'ours', 'grpc', { ...leased, 'server-id': 'ours' });
  await startServer(t, go, 'grpc', { ...leased, 'server-id': 'theirs' });
  const names = () => api.leases.all('kube-system').map(({ metadata }) => metadata.name);
  await eventually('both servers have leases', () => names().length === 2);
  t.same(names().sort(), ['konnectivity-proxy-server-ours', 'konnectivity-proxy-server-theirs']);
  await ours.process.waitForLog(
    ({ msg, count }) => msg === 'servers by their leases' && count === 2,
  );
  for (const kind of ['ours', go] as const) {
    const agent = await startAgent(t, kind, ours, { ...flags, 'count-server-leases': 'true' });
    await eventually('the agent counts both', async () => {
      return (await readMetric(agent.adminPort, agentMetric)) === 2;
    });
  }
}

const excuse = await whyNoGo();
if (excuse !== undefined) {
  t.comment(excuse);
  t.pass(excuse, { skip: excuse });
} else {
  const go = await buildKonnectivity(releases.current);
  await t.test('our server, a Go agent with a token', (t) => tryTokens(t, 'ours', go));
  await t.test('a Go server, our agent with a token', (t) => tryTokens(t, go, 'ours'));
  await t.test('servers of both kinds have leases, agents of both kinds count them', (t) =>
    tryLeases(t, go),
  );
}
