import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connectThrough, eventually, startEchoTarget } from '@fairlead/testkit';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t from 'tap';
import { loopback, metric } from '../support/fleet.ts';
import { Installation, runFairlead } from './enrollment-fixture.ts';

const minuteMs = 60_000;
const lifetimeMs = 40 * minuteMs;
/** From notBefore to notAfter: notBefore is a tenth of the lifetime before the issue. */
const periodMs = 44 * minuteMs;

t.test('a stream survives a renewal, and a denied certificate is not renewed', async (t) => {
  const time = controlTime(t);
  // A certificate is renewed at a random point between 0.6 and 0.7 of its period: here at 0.6.
  t.intercept(Math, 'random', { value: () => 0 });
  const site = await Installation.make();
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const denylist = await site.file('denied', '# no entry\n');
  const [issuer, server] = await Promise.all([
    site.startIssuer(t, {
      certificateLifetime: lifetimeMs,
      agentDenylist: denylist,
      reloadInterval: 2 ** 30,
    }),
    site.startServer(t),
  ]);
  const token = await site.token();
  // OpenSSL uses the real clock, so the controlled clock must not advance far before the first renewal.
  const ageMs = 0.6 * periodMs - 5 * minuteMs;
  const first = new X509Certificate((await site.leaveIdentity(token, ageMs, lifetimeMs)).certPem);
  const { agent, log } = await site.startAgent(t, {
    enrollmentServer: { host: loopback, port: issuer.port },
    proxyServerPort: server.agentPort,
  });
  await server.log.line('agent connected');
  const { socket } = await connectThrough({
    via: server.uds,
    target: `${loopback}:${target.port}`,
  });
  const echoes = async (word: string) => {
    socket.write(word);
    return String((await once(socket, 'data'))[0]) === word;
  };
  const requests = (outcome: string) =>
    metric(
      { healthPort: agent.addresses.health.port },
      'fairlead_agent_certificate_requests_total',
      `{request="renew",outcome="${outcome}"}`,
    );
  t.ok(await echoes('before'));
  t.same(issuer.log.of('certificate issued'), [], 'it is not renewed early');

  await time.advance(2 * minuteMs);
  await log.line('certificate renewed');
  const second = await issuer.log.line('certificate issued');
  t.match(second, { request: 'renew', enrolment: token.id, subject: 'CN=node-1' });
  t.equal(second.replaces, first.serialNumber.toLowerCase());
  t.equal(String(second.names), first.subjectAltName);
  await log.line('reloaded');
  t.ok(await echoes('after'), 'the stream continues');
  t.same(log.of('disconnected'), []);
  t.equal(await requests('issued'), 1);

  // Denied by its enrollment token, because the serial number has changed.
  await site.file('denied', `enrollment:${token.id}\n`);
  issuer.issuer.reload();
  await issuer.log.line('reloaded', ({ files }) => files === 'agent deny list');
  const dueMs = Date.parse(String(second.notAfter)) - 0.4 * periodMs;
  await time.advance(dueMs - Date.now() + 1_000);
  t.match(await issuer.log.line('enrollment refused'), {
    ...{ request: '/v1/renew', code: 'certificate_refused', enrolment: token.id },
    reason: `--agent-denylist has enrollment:${token.id}`,
  });
  t.match(await log.line('cannot renew the certificate'), {
    detail: /refused \(certificate_refused\): --agent-denylist has enrollment:/,
  });
  t.ok((await requests('failed')) >= 1);
  t.ok(await echoes('still'), 'the deny list of the issuer does not end a tunnel');

  await site.file('denied', '');
  issuer.issuer.reload();
  await issuer.log.lineAfter(1, 'reloaded');
  await eventually('the certificate is renewed again', async () => {
    // The first pause between attempts is a quarter of a minute.
    await time.advance(minuteMs / 4);
    return issuer.log.of('certificate issued').length === 2;
  });
  const [, third] = issuer.log.of('certificate issued');
  t.equal(third!.replaces, second.serialNumber);
  t.ok(await echoes('at last'), 'a failed renewal is retried');
  socket.destroy();
});

t.test('an agent whose certificate has expired logs that it needs a new token', async (t) => {
  const site = await Installation.make();
  const issuer = await site.startIssuer(t);
  const first = await site.token();
  await site.leaveIdentity(first, 2 * minuteMs, minuteMs);
  const options = { enrollmentServer: { host: loopback, port: issuer.port } };

  const late = await site.startAgent(t, options);
  t.match(await late.log.line('cannot join'), {
    detail:
      /agent\.pem expired at .*Z, and the clock of this machine says .*Z\. If the clock is right, join again: give a token/,
  });
  const enrollmentTokenFile = await site.file('token', '');
  await late.agent.close();

  const waiting = await site.startAgent(t, { ...options, enrollmentTokenFile });
  t.match(await waiting.log.line('cannot join'), { detail: /holds no token/ });
  const second = await site.token();
  await site.file('token', second.text);
  await waiting.log.line('joined');
  const listed = await runFairlead('token', 'list', '--token-dir', site.path('tokens'));
  const row = (id: string, state: string) => new RegExp(`^${id} +node-1 +${state} `, 'm');
  t.match(listed.stdout, row(first.id, 'open'));
  t.match(listed.stdout, row(second.id, 'redeemed'), 'the file is read again');
});
