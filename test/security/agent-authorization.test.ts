import type { ServerStatus } from '@fairlead/server';
import { connectThrough, startEchoTarget } from '@fairlead/testkit';
import t from 'tap';
import { startServer, type TestServer } from '../support/fleet.ts';
import { startAgent, testPki, transports } from './fixture.ts';
import { rawAgent } from './raw-agent.ts';

const pki = await testPki();

async function statusOf({ adminUrl }: TestServer): Promise<ServerStatus> {
  const response = await fetch(new URL('/api/v1/status', adminUrl));
  return (await response.json()) as ServerStatus;
}

for (const transport of transports) {
  t.test(`8.3 enforce, over ${transport}: an uncovered claim is refused`, async (t) => {
    const server = await startServer(t, { agentAuthorization: 'enforce' });
    // A valid certificate, but of another node than the one that the agent claims.
    const rogue = await pki.agent({ name: 'node-1', hosts: ['node-1'], ips: ['10.0.0.1'] });
    const { agent, log } = await startAgent(t, server, rogue, {
      transport,
      agentIdentifiers: 'host=node-1&host=node-2&ipv4=10.0.0.1&ipv4=10.0.0.2&default-route=true',
    });
    const line = await log.line('cannot connect');
    t.match(line, {
      reason: 'identity_refused',
      detail:
        'the certificate of node-1 does not cover host=node-2, ipv4=10.0.0.2, default-route=true',
    });
    t.match(await server.log.line('agent refused: its certificate does not cover it'), {
      level: 'warn',
      commonName: 'node-1',
      claims: ['host=node-2', 'ipv4=10.0.0.2', 'default-route=true'],
    });
    t.equal(server.log.of('agent connected').length, 0);
    t.equal(
      log.of('connected').length,
      0,
      '2.13 the agent does not count the connection as a tunnel',
    );
    t.same((await statusOf(server)).agents, []);
    const reply = await connectThrough({ via: server.uds, target: 'node-2:10250' });
    t.match(reply, { status: 503, headers: { 'fairlead-error': 'no_agent' } });
    reply.socket.destroy();
    const outcome = '{kind="host",outcome="refused"}';
    t.ok((await server.metric('fairlead_server_uncovered_claims_total', outcome)) >= 1);
    t.ok(
      (await server.metric('fairlead_server_refused_agents_total', '{reason="unauthorized"}')) >= 1,
    );
    await agent.close();
  });

  t.test(`enforce, over ${transport}: covered claims are accepted`, async (t) => {
    const server = await startServer(t, { agentAuthorization: 'enforce' });
    const target = await startEchoTarget();
    t.teardown(() => target.close());
    const own = await pki.agent({
      name: 'node-3',
      hosts: ['node-3.example'],
      ips: ['10.0.0.3', 'fd00::3'],
      cidrs: ['10.3.0.0/16-24', 'fd00:3::/64'],
      defaultRoute: true,
    });
    await startAgent(t, server, own, {
      transport,
      agentIdentifiers:
        'host=NODE-3.example.&ipv4=10.0.0.3&ipv6=fd00:0::3&cidr=10.3.7.0/24&cidr=10.3.0.0/16&cidr=fd00:3::/64&default-route=true',
    });
    await server.log.line('agent connected');
    const [agent] = (await statusOf(server)).agents;
    t.same(agent?.covered, [
      'host=node-3.example',
      'ipv4=10.0.0.3',
      'ipv6=fd00::3',
      'cidr=10.3.7.0/24',
      'cidr=10.3.0.0/16',
      'cidr=fd00:3::/64',
      'default-route=true',
    ]);
    t.same(agent?.uncovered, []);
    const reply = await connectThrough({ via: server.uds, target: `127.0.0.1:${target.port}` });
    t.equal(reply.status, 200);
    reply.socket.destroy();
  });
}

t.test('audit: an uncovered claim is accepted, logged, counted and in the status', async (t) => {
  const server = await startServer(t, { agentAuthorization: 'audit' });
  const rogue = await pki.agent({ name: 'node-4', hosts: ['node-4'] });
  await startAgent(t, server, rogue, { agentIdentifiers: 'host=node-4&host=node-5' });
  await server.log.line('agent connected');
  t.match(server.log.of('claims that the certificate does not cover'), [
    { level: 'warn', commonName: 'node-4', claims: ['host=node-5'] },
  ]);
  t.match((await statusOf(server)).agents, [
    { covered: ['host=node-4'], uncovered: ['host=node-5'] },
  ]);
  t.equal(
    await server.metric('fairlead_server_uncovered_claims_total', '{kind="host",outcome="taken"}'),
    1,
  );
});

t.test('off: every claim counts as covered', async (t) => {
  const server = await startServer(t, { agentAuthorization: 'off' });
  const any = await pki.agent({ name: 'any' });
  await startAgent(t, server, any, { agentIdentifiers: 'host=node-6' });
  await server.log.line('agent connected');
  t.match((await statusOf(server)).agents, [{ covered: ['host=node-6'], uncovered: [] }]);
});

t.test('a host that two certificates claim is logged, counted and in the status', async (t) => {
  const server = await startServer(t, { agentAuthorization: 'audit' });
  const identifiers = { agentIdentifiers: 'host=node-7&ipv4=10.0.0.7&cidr=10.7.0.0/16' };
  const honest = await pki.agent({ name: 'node-7', hosts: ['node-7'] });
  await startAgent(t, server, honest, { ...identifiers, agentId: 'honest' });
  await server.log.line('agent connected', ({ agent }) => agent === 'honest');
  // A second agent with the same certificate is the same node.
  await startAgent(t, server, honest, { ...identifiers, agentId: 'honest-again' });
  await server.log.line('agent connected', ({ agent }) => agent === 'honest-again');
  t.same(server.log.of('claimed twice'), []);
  const other = await pki.agent({ name: 'node-8', hosts: ['node-8'] });
  const second = await startAgent(t, server, other, { ...identifiers, agentId: 'rogue' });
  await server.log.line('agent connected', ({ agent }) => agent === 'rogue');
  t.match(
    server.log.of('claimed twice').map(({ claim }) => claim),
    ['host=node-7', 'ipv4=10.0.0.7'],
    'several agents can serve one network',
  );
  const { conflicts } = await statusOf(server);
  t.match(conflicts, [
    { claim: 'host=node-7', agents: [{ agentId: 'honest' }, {}, { agentId: 'rogue' }] },
    { claim: 'ipv4=10.0.0.7' },
  ]);
  t.equal(await server.metric('fairlead_server_claim_conflicts'), 2);
  await second.agent.close();
  await server.log.line('agent disconnected', ({ agent }) => agent === 'rogue');
  t.same((await statusOf(server)).conflicts, []);
});

t.test('the certificate does not have to cover the agent ID', async (t) => {
  const server = await startServer(t, { agentAuthorization: 'enforce' });
  const own = await pki.agent({ name: 'node-9', hosts: ['node-9'] });
  await startAgent(t, server, own, { agentId: 'node-1', agentIdentifiers: 'host=node-9' });
  await server.log.line('agent connected');
  t.match((await statusOf(server)).agents, [{ agentId: 'node-1', commonName: 'node-9' }]);
});

t.test('8.3 a second HELLO with an uncovered host ends the tunnel', async (t) => {
  const server = await startServer(t, { agentAuthorization: 'enforce' });
  const own = await pki.agent({ name: 'node-10', hosts: ['node-10'] });
  const agent = await rawAgent(t, server, own, { agentIdentifiers: 'host=node-10' });
  await server.log.line('agent connected');
  agent.session.updateHello({ agentIdentifiers: 'host=node-10&host=node-11' });
  t.match(await agent.closed, { code: 'unauthorized', message: /does not cover host=node-11$/ });
  await server.log.line('agent disconnected');
  t.same((await statusOf(server)).agents, []);
});

t.test('an agent that keeps changing its identifiers loses its tunnel', async (t) => {
  const server = await startServer(t, { agentAuthorization: 'audit' });
  const own = await pki.agent({ name: 'node-13' });
  const agent = await rawAgent(t, server, own);
  await server.log.line('agent connected');
  for (let times = 0; times < 1000; times++) {
    agent.session.updateHello({ agentIdentifiers: `host=node-${times}` });
  }
  t.match(await agent.closed, { code: 'limit_reached' });
  t.ok(server.log.of('claims that the certificate does not cover').length <= 21);
});

t.test('a second HELLO with a covered host replaces the claims', async (t) => {
  const server = await startServer(t, { agentAuthorization: 'enforce' });
  const own = await pki.agent({ name: 'node-12', hosts: ['a.example', 'b.example'] });
  const agent = await rawAgent(t, server, own, { agentIdentifiers: 'host=a.example' });
  await server.log.line('agent connected');
  agent.session.updateHello({ agentIdentifiers: 'host=b.example' });
  await agent.roundTrip();
  t.match((await statusOf(server)).agents, [{ covered: ['host=b.example'] }]);
});
