/** Who may enter, who may serve, and which targets: refused with a code, and said in the log. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseTargetRule } from '@fairlead/runtime/net';
import { sharedTestPki, startEchoTarget } from '@fairlead/testkit';
import t from 'tap';
import { startAgent, startServer } from '../support/fleet.ts';
import { exchange, open, startService, transports, wayNames } from './service.ts';

const [allowed, denied] = [await startEchoTarget(), await startEchoTarget()];
t.teardown(async () => {
  await allowed.close();
  await denied.close();
});
const denial = { code: 'policy_denied' };

t.test("the front end's policy holds for every way in", async (t) => {
  const policy = join(t.testdir(), 'policy.yaml');
  const callers = '["uds", "cn:frontend-client"]';
  writeFileSync(policy, `rules:\n  - callers: ${callers}\n    allow: ["*:${allowed.port}"]\n`);
  const { server } = await startService(t, 'tls', { frontendPolicy: policy });
  for (const way of wayNames) {
    const stream = await open(t, server, way, allowed);
    t.equal(await exchange(stream, 'hello'), 'hello', `${way}: what is allowed`);
    const refusal = open(t, server, way, denied).then((other) => exchange(other, 'hello'));
    const answer = way.startsWith('gRPC') ? { message: /the front-end policy denies/ } : denial;
    await t.rejects(refusal, answer, `${way}: what is not`);
  }
});

for (const transport of transports) {
  t.test(`the agent's policy holds, ${transport}`, async (t) => {
    const server = await startServer(t);
    const deny = [parseTargetRule(`*:${denied.port}`)!];
    await startAgent(t, server, { transport, deny });
    await server.untilAgents(1);
    const stream = await open(t, server, 'HTTP/1.1 over mTLS', allowed);
    t.equal(await exchange(stream, 'hello'), 'hello');
    // Konnectivity's wire carries a sentence, no code.
    const answer = transport === 'grpc' ? { message: /policy/ } : denial;
    await t.rejects(open(t, server, 'HTTP/1.1 over mTLS', denied), answer);
  });

  t.test(`an agent with a certificate of another CA is refused, ${transport}`, async (t) => {
    const { foreign } = await sharedTestPki();
    const server = await startServer(t);
    const { client } = foreign;
    const stranger = await startAgent(t, server, {
      transport,
      agentCert: client.certFile,
      agentKey: client.keyFile,
    });
    await stranger.log.line('cannot connect');
    t.strictSame(server.agentIds(), []);
    await t.rejects(open(t, server, 'HTTP/1.1 over the UDS', allowed), { code: 'no_agent' });
  });

  t.test(`an agent leaves a server whose certificate is of another CA, ${transport}`, async (t) => {
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
  const elsewhere = { ...server, tcp: { ...server.tcp, tls } };
  const http1 = open(t, elsewhere, 'HTTP/1.1 over mTLS', allowed);
  await t.rejects(http1, { code: 'unauthenticated' }, 'HTTP/1.1 gets an answer');
  const http2 = open(t, elsewhere, 'HTTP/2 over mTLS', allowed);
  await t.rejects(http2, { code: 'client_certificate' }, 'HTTP/2 loses its connection');
});

t.test('an agent is given no target that its certificate does not cover', async (t) => {
  const server = await startServer(t, { agentAuthorization: 'enforce' });
  // The shared certificate has the host name of no node.
  const agent = await startAgent(t, server, { agentIdentifiers: 'host=node-of-others' as never });
  t.match(await agent.log.line('cannot connect'), { reason: 'identity_refused' });
  t.strictSame(server.agentIds(), []);
});
