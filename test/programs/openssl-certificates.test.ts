/** Certificates that openssl made, instead of `fairlead pki`. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { makeOpensslPki, sharedTestPki, startEchoTarget, type TestPki } from '@fairlead/testkit';
import t from 'tap';
import { authority, echoLine, http1Client, http2Client } from './clients.ts';
import { connectAgent, linesOf, startServer, transports } from './fixture.ts';

/** Why openssl cannot be used on this machine, or false. */
const skip = await promisify(execFile)('openssl', ['version']).then(
  () => false as const,
  () => 'there is no openssl on this machine',
);

function serverFiles({ frontend, agent }: TestPki) {
  return {
    'server-ca-cert': frontend.caFile,
    'server-cert': frontend.server.certFile,
    'server-key': frontend.server.keyFile,
    'cluster-ca-cert': agent.caFile,
    'cluster-cert': agent.server.certFile,
    'cluster-key': agent.server.keyFile,
  };
}

t.test("server, agent and clients accept openssl's certificates", { skip }, async (t) => {
  const pki = await sharedTestPki(makeOpensslPki);
  const { frontend, agent } = pki;
  const server = await startServer(t, serverFiles(pki));
  const tls = { ca: frontend.ca, cert: frontend.client.cert, key: frontend.client.key };
  const via = { ...server.tcp, tls };
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());

  for (const transport of [...transports, 'grpc']) {
    await t.test(transport, async (t) => {
      await connectAgent(t, server, {
        transport,
        'ca-cert': agent.caFile,
        'agent-cert': agent.client.certFile,
        'agent-key': agent.client.keyFile,
      });
      for (const client of [http1Client(t, via), await http2Client(t, via)]) {
        await echoLine(await client.open(authority(echo)), `through ${transport}\n`);
      }
      t.pass('echoes a line by HTTP/1.1 and by HTTP/2');
      t.equal(linesOf(server.process, 'agent connected').at(-1)?.transport, transport);
    });
  }

  await t.test('answers 401 to an expired client certificate', async (t) => {
    const { cert, key } = frontend.expiredClient;
    const expired = http1Client(t, { ...server.tcp, tls: { ca: frontend.ca, cert, key } });
    const { status, code, body } = await expired.ask(authority(echo));
    t.match(
      { status, code, body },
      { status: 401, code: 'unauthenticated', body: /it expired at/ },
    );
  });
});
