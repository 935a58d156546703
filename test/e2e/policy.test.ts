/** Policies and certificates: which clients, agents and targets are admitted, and how others are refused. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseTargetRule } from '@fairlead/runtime/net';
import { sharedTestPki, startEchoTarget } from '@fairlead/testkit';
import t from 'tap';
import { startAgent, startServer } from '../support/fleet.ts';
import { clientKinds, exchange, open, startService, transports } from './service.ts';

const [allowed, denied] = [await startEchoTarget(), await startEchoTarget()];
t.teardown(async () => {
  await allowed.close();
  await denied.close();
});
const denial = { code: 'policy_denied' };

t.test("the front end's policy applies to every kind of client", async (t) => {
  const policy = join(t.testdir(), 'policy.yaml');
  const callers = '["uds", "cn:frontend-client"]';
  writeFileSync(policy, `rules:\n  - callers: ${callers}\n    allow: ["*:${allowed.port}"]\n`);
  const { server } = await startService(t, 'tls', { frontendPolicy: policy });
  for (const kind of clientKinds) {
    const stream = await open(t, server, kind, allowed);
    t.equal(await exchange(stream, 'hello'), 'hello', `${kind}: an allowed target`);
    const refusal = open(t, server, kind, denied).then((other) => exchange(other, 'hello'));
    const answer = kind.startsWith('gRPC') ? { message: /the front-end policy denies/ } : denial;
    await t.rejects(refusal, answer, `${kind}: a denied target`);
  }
});

for (const transport of transports) {
  t.test(`the agent's policy denies a target, ${transport}`, async (t) => {
    const server = await startServer(t);
    const deny = [parseTargetRule(`*:${denied.port}`)!];
    await startAgent(t, server, { transport, deny });
    await server.untilAgents(1);
    const stream = await open(t, server, 'HTTP/1.1 over mTLS', allowed);
    t.equal(await exchange(stream, 'hello'), 'hello');
    // Konnectivity's protocol carries an error text, but no code.
    const answer = transport === 'grpc' ? { message: /policy/ } : denial;
    await t.rejects(open(t, server, 'HTTP/1.1 over mTLS', denied), answer);
  });

  t.test(`an agent with a certificate of another CA is refused, ${transport}`, async (t) => {
    const { foreign } = await sharedTestPki();
    const server = await startServer(t);
    const { client } = foreign;
    const agent = await startAgent(t, server, {
      transport,
      agentCert: client.certFile,
      agentKey: client.keyFile,
    });
    await agent.log.line('cannot connect');
    t.strictSame(server.agentIds(), []);
    await t.rejects(open(t, server, 'HTTP/1.1 over the UDS', allowed), { code: 'no_agent' });
  });

  t.test(`an agent refuses a server with a certificate of another CA, ${transport}`, async (t) => {
    const { foreign } = await sharedTestPki();
    const { server: credentials } = foreign;
    const server = await startServer(t, {
      clusterCert: credentials.certFile,
      clusterKey: credentials.keyFile,
    });
    const agent = await startAgent(t, server, { transport });
    t.match(await agent.log.line('cannot connect'), { detail: /certificate/ });
    t.notOk(agent.agent.isReady);
  });
}

t.test('a client with a certificate of another CA is refused', async (t) => {
  const { foreign, frontend } = await sharedTestPki();
  const { server } = await startService(t, 'tls');
  const tls = { ca: frontend.ca, cert: foreign.client.cert, key: foreign.client.key };
  const foreignClient = { ...server, tcp: { ...server.tcp, tls } };
  const http1 = open(t, foreignClient, 'HTTP/1.1 over mTLS', allowed);
  await t.rejects(http1, { code: 'unauthenticated' }, 'HTTP/1.1 receives an answer');
  const http2 = open(t, foreignClient, 'HTTP/2 over mTLS', allowed);
  await t.rejects(http2, { code: 'unauthenticated' }, 'so does HTTP/2');
});

t.test('refuses an agent that claims a host which its certificate does not cover', async (t) => {
  const server = await startServer(t, { agentAuthorization: 'enforce' });
  // The shared certificate does not contain this host name.
  const agent = await startAgent(t, server, { agentIdentifiers: 'host=node-of-others' as never });
  t.match(await agent.log.line('cannot connect'), { reason: 'identity_refused' });
  t.strictSame(server.agentIds(), []);
});
