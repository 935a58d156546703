import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import {
  DuplexTransport,
  Session,
  TUNNEL_CONTENT_TYPE,
  TUNNEL_PATH,
  TunnelError,
} from '@fairlead/protocol';
import { connectThrough, startEchoTarget } from '@fairlead/testkit';
import t from 'tap';
import { loopback, startServer } from '../support/fleet.ts';
import { type Credentials, startAgent, testPki, transports } from './fixture.ts';

const pki = await testPki();

const entries: Record<string, (credentials: Credentials) => string> = {
  serial: ({ certPem }) => `serial:${new X509Certificate(certPem).serialNumber}`,
  fingerprint: ({ certPem }) => `sha256:${new X509Certificate(certPem).fingerprint256}`,
  'common name': () => 'cn:revoked',
  'enrollment token': () => 'enrollment:abc',
  'enrollment token, in the former spelling': () => 'enrolment:abc',
};

for (const [kind, entryOf] of Object.entries(entries)) {
  t.test(`a new deny list entry ends the agent's tunnel: ${kind}`, async (t) => {
    const target = await startEchoTarget();
    t.teardown(() => target.close());
    const agentDenylist = await pki.file('denied', '# empty\n\n');
    const server = await startServer(t, { agentDenylist, reloadInterval: 2 ** 30 });
    const [allowed, revoked] = await Promise.all([
      pki.agent({ name: 'allowed', uris: ['fairlead:enrolment=abd'] }),
      pki.agent({ name: 'revoked', uris: ['fairlead:enrolment=abc'] }),
    ]);
    const other = await startAgent(t, server, allowed, { agentId: 'allowed' });
    const denied = await startAgent(t, server, revoked, { agentId: 'revoked' });
    await server.log.line('agent connected', ({ agent }) => agent === 'allowed');
    await server.log.line('agent connected', ({ agent }) => agent === 'revoked');

    writeFileSync(agentDenylist, `${entryOf(revoked)}\n`);
    const ended = await denied.log.line('disconnected');
    t.match(ended, {
      code: 'unauthorized',
      reason: /^--agent-denylist has (serial|sha256|cn|enrollment):/,
    });
    t.match(await server.log.line('agent disconnected'), { agent: 'revoked' });
    await server.log.line('agent refused', ({ commonName }) => commonName === 'revoked');
    t.ok((await server.metric('fairlead_server_refused_agents_total', '{reason="denied"}')) >= 1);
    t.same(other.log.of('disconnected'), [], 'other agents stay connected');
    const reply = await connectThrough({ via: server.uds, target: `${loopback}:${target.port}` });
    t.equal(reply.status, 200);
    reply.socket.destroy();
  });
}

t.test(
  'a bad line in a changed deny list does not keep the others from their effect',
  async (t) => {
    const agentDenylist = await pki.file('denied-with-mistake', 'cn:before\n');
    const server = await startServer(t, { agentDenylist, reloadInterval: 2 ** 30 });
    const revoked = await pki.agent({ name: 'revoked-now' });
    const { log } = await startAgent(t, server, revoked, { agentId: 'revoked-now' });
    await server.log.line('agent connected');
    writeFileSync(agentDenylist, 'cn:revoked-now\nthis is no entry\n');
    t.match(await log.line('disconnected'), { code: 'unauthorized', reason: /cn:revoked-now/ });
    const warning = await server.log.line(/invalid/);
    t.match(warning.detail, /denied-with-mistake:2: "this is no entry" is not an entry/);
    const before = await pki.agent({ name: 'before' });
    const other = await startAgent(t, server, before, { agentId: 'before' });
    t.match(await other.log.line('cannot connect'), { detail: /cn:before/ });
  },
);

for (const transport of transports) {
  t.test(`a denied agent cannot connect over ${transport}`, async (t) => {
    const agentDenylist = await pki.file('denied-at-start', 'cn:revoked\n');
    const server = await startServer(t, { agentDenylist });
    const revoked = await pki.agent({ name: 'revoked' });
    const { log } = await startAgent(t, server, revoked, { transport });
    await server.log.line('agent refused');
    await log.line(/^(disconnected|cannot connect)$/);
    t.same(server.log.of('agent connected'), []);
  });
}

t.test('a denied agent cannot open a new tunnel on an open HTTP/2 connection', async (t) => {
  const agentDenylist = await pki.file('denied-on-http2', '');
  const server = await startServer(t, { agentDenylist, reloadInterval: 2 ** 30 });
  const { certPem, keyPem } = await pki.agent({ name: 'revoked' });
  const { agentPort: port } = server;
  const connection = connect(`https://localhost:${port}`, {
    ca: pki.agentCa.certPem,
    cert: certPem,
    key: keyPem,
  });
  t.teardown(() => connection.destroy());
  const join = () => {
    const stream = connection.request({
      ':method': 'POST',
      ':path': TUNNEL_PATH,
      'content-type': TUNNEL_CONTENT_TYPE,
    });
    let close: (error?: TunnelError) => void = () => {};
    const closed = new Promise<TunnelError | undefined>((resolve) => {
      close = resolve;
    });
    const session = new Session(
      new DuplexTransport(stream, 'http2'),
      { onHello() {}, onOpen() {}, onDraining() {}, onClose: (error) => close(error) },
      { role: 'agent', hello: { agentId: 'revoked' } },
    ).start();
    t.teardown(() => session.destroy(new TunnelError('shutting_down')));
    return closed;
  };
  const first = join();
  await server.log.line('agent connected');
  writeFileSync(agentDenylist, 'cn:revoked\n');
  t.match(await first, { code: 'unauthorized' });
  t.notOk(connection.destroyed, 'the connection is still open');
  t.match(await join(), { code: 'unauthorized', message: '--agent-denylist has cn:revoked' });
  t.equal(server.log.of('agent connected').length, 1);
});

t.test('entries that cannot match an agent are refused', async (t) => {
  for (const entry of [
    'enrollment:abc # stolen',
    'enrollment:ABC',
    'enrolment:ABC',
    'enrollllment:abc',
    'cn:gw # stolen',
    'node:worker-3 # stolen',
    'node:worker-3, worker-4',
    'node:Worker-3',
    'serial:4A # stolen',
  ]) {
    const agentDenylist = await pki.file('denied-invalid', `${entry}\n`);
    await t.rejects(
      startServer(t, { agentDenylist }),
      { name: 'UsageError', message: `:1: "${entry}" is not an entry: write serial:HEX` },
      entry,
    );
  }
  for (const entry of ['cn:system:node:worker-3', 'node:worker-3.example', 'cn:#1 of many']) {
    const agentDenylist = await pki.file('denied-valid', `${entry}\n`);
    await startServer(t, { agentDenylist });
  }
});

t.test('an invalid list is ignored, and the previous one stays in use', async (t) => {
  const agentDenylist = await pki.file('denied-badly', 'cn:revoked\n');
  const server = await startServer(t, { agentDenylist, reloadInterval: 2 ** 30 });
  writeFileSync(agentDenylist, 'cn:revoked\nserial:xyz\n');
  const warning = await server.log.line('new files are invalid, the previous ones stay in use');
  t.match(
    warning.detail,
    /^--agent-denylist: .*denied-badly:2: "serial:xyz" is not an entry: write serial:HEX, /,
  );
  const revoked = await pki.agent({ name: 'revoked' });
  await startAgent(t, server, revoked);
  await server.log.line('agent refused');
  await t.rejects(startServer(t, { agentDenylist }), { name: 'UsageError' });
});
