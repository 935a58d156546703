/** A peer at the wrong port, or without TLS, learns which port it is, and the operator finds it in both logs. */
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { makeToken } from '@fairlead/pki/enrollment';
import { connectHead, exchangeRaw, type LogLine, sharedTestPki } from '@fairlead/testkit';
import t from 'tap';
import { runCommand } from '../../packages/cli/test/run-fairlead.ts';
import { Installation } from '../security/enrollment-fixture.ts';
import { loopback, startAgent, startServer } from '../support/fleet.ts';

const pki = await sharedTestPki();
const server = await startServer(t);
const ports = {
  '--server-port': server.tcp.port,
  '--agent-port': server.agentPort,
};

/** Whether operators see the line at the default level. */
const isShown = ({ level }: LogLine) => level !== 'debug' && level !== 'trace';

t.test('plain HTTP at a TLS port is answered with 400 in plain text', async (t) => {
  const requests = [
    connectHead('a:1'),
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
  ];
  for (const [flag, port] of Object.entries(ports)) {
    for (const request of requests) {
      await t.test(`${flag}, ${request.slice(0, 7)}`, async (t) => {
        const { text } = await exchangeRaw({ host: loopback, port }, request);
        t.match(text, /^HTTP\/1\.1 400 /);
        t.match(text, `${flag}: `);
        t.match(text, /needs TLS: use https:\/\//);
      });
    }
  }
  const lines = server.log.lines.filter(({ msg }) => /TLS/.test(String(msg)));
  t.equal(lines.length, 2 * requests.length);
  for (const { detail } of lines) {
    t.match(detail, /TLS/);
    t.notMatch(detail, /error:|routines|\.c:/, "not OpenSSL's own text");
  }
});

for (const transport of ['tls', 'websocket', 'http2', 'grpc', 'auto'] as const) {
  t.test(`an agent at the clients' port: ${transport}`, async (t) => {
    const { log } = await startAgent(t, server.tcp.port, {
      transport,
      caCert: pki.frontend.caFile,
    });
    const { detail } = await log.line('cannot connect');
    t.match(detail, /port for clients/);
    t.match(detail, /--agent-port/);
  });
}

t.test("a client at the agents' port", async (t) => {
  const { ca, client } = pki.agent;
  const identities = {
    "a client's certificate": pki.frontend.client,
    "an agent's certificate": client,
  };
  for (const [name, { cert, key }] of Object.entries(identities)) {
    await t.test(`HTTP/1.1, ${name}`, async (t) => {
      const tls = { ca, cert, key };
      const via = { host: loopback, port: server.agentPort, tls };
      const { text } = await exchangeRaw(via, connectHead('a:1'));
      t.match(text, /^HTTP\/1\.1 4\d\d /);
      t.match(text, /port for agents/);
      t.match(text, /--server-port/);
    });
    await t.test(`HTTP/2, ${name}`, async (t) => {
      const session = connectHttp2(`https://${loopback}:${server.agentPort}`, { ca, cert, key });
      t.teardown(() => session.destroy());
      const stream = session.request({ ':method': 'CONNECT', ':authority': 'a:1' });
      const [headers] = await once(stream, 'response');
      t.match(headers[':status'], /^4\d\d$/);
      t.match(headers['fairlead-error-detail'], /port for agents.*--server-port/);
      stream.destroy();
    });
  }
});

t.test('an agent without --ca-cert learns that it is missing', async (t) => {
  const { log } = await startAgent(t, server, { caCert: undefined });
  const { reason, detail } = await log.line('cannot connect');
  t.equal(reason, 'server_certificate');
  t.match(detail, /--ca-cert is not set/);
});

for (const transport of ['tls', 'http2'] as const) {
  t.test(
    `an agent that refuses the server's certificate is in the server's log: ${transport}`,
    async (t) => {
      const own = await startServer(t);
      const { log } = await startAgent(t, own, { caCert: pki.foreign.caFile, transport });
      await log.line('cannot connect');
      await own.log.until('the server logs it', () =>
        own.log.lines.some(
          (line) => isShown(line) && /server's certificate/.test(JSON.stringify(line)),
        ),
      );
    },
  );
}

t.test('an agent that joins at a port that is not the issuer', async (t) => {
  const site = await Installation.make();
  for (const port of [server.agentPort, server.tcp.port, server.healthPort]) {
    const { log } = await startAgent(t, server, {
      ...{ caCert: undefined, agentCert: undefined, agentKey: undefined },
      identityDir: site.path(`identity-${port}`),
      enrollmentServer: { host: loopback, port },
      enrollmentToken: makeToken().text,
      enrollmentCaHash: [site.caHash],
    });
    const { detail } = await log.line('cannot join');
    t.match(detail, /--enrollment-port/);
  }
});

t.test('fairlead status at another port says which one it is', async (t) => {
  const { adminUrl, healthPort, agentPort, tcp } = server;
  const mistakes: Record<string, RegExp> = {
    [`http://${loopback}:${healthPort}`]: /health port.*--admin-port/,
    [`http://${loopback}:${agentPort}`]: /--agent-port.*Set --admin to the --admin-port/,
    [`http://${loopback}:${tcp.port}`]: /--server-port.*Set --admin to the --admin-port/,
    [`https://${loopback}:${adminUrl.port}`]: /without TLS.*http:\/\//,
    [`https://${loopback}:${tcp.port}`]: /certificate.*Set --admin to the --admin-port/,
  };
  for (const [url, message] of Object.entries(mistakes)) {
    for (const command of [['status'], ['why', 'a:1']]) {
      const { code, stderr } = await runCommand([...command, `--admin=${url}`]);
      t.equal(code, 1);
      t.match(stderr, message);
      t.notMatch(stderr, /error:|routines|\.c:/, "not OpenSSL's own text");
      t.equal(stderr.trim().split('\n').length, 1, 'one line');
    }
  }
});
