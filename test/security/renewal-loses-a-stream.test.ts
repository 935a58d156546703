import { once } from 'node:events';
import { connectThrough, type RunningProcess, startEchoTarget } from '@fairlead/testkit';
import t from 'tap';
import { Installation, loopback, runFairlead } from './enrolment-fixture.ts';

/** The value of the agent's counter of certificates. */
async function requestsOf(agent: RunningProcess, labels: string): Promise<number> {
  const { port } = await agent.waitForListener('health');
  const text = await (await fetch(`http://${loopback}:${port}/metrics`)).text();
  const name = `fairlead_agent_certificate_requests_total{${labels}}`;
  const row = text.split('\n').find((line) => line.startsWith(name));
  return Number(row?.split(' ')[1] ?? 0);
}

t.test(
  'a certificate is renewed under an open stream, and no more once it is denied',
  async (t) => {
    const site = await Installation.make();
    const target = await startEchoTarget();
    t.teardown(() => target.close());
    const denylist = await site.file('denied', '# nobody\n');
    const [issuer, server] = await Promise.all([
      site.startIssuer(t, { 'certificate-lifetime': '6s', 'agent-denylist': denylist }),
      site.startServer(t),
    ]);
    const { text, id } = await site.token();
    const agent = await site.startAgent(
      t,
      {
        'enrolment-server': `${loopback}:${issuer.port}`,
        'proxy-server-port': String(server.port),
        'reconnect-min': '20ms',
      },
      { FAIRLEAD_ENROLMENT_TOKEN: text },
    );
    await server.process.waitForLog('agent connected');
    const { socket } = await connectThrough({
      via: server.uds,
      target: `${loopback}:${target.port}`,
    });
    const echoes = async (word: string) => {
      socket.write(word);
      return String((await once(socket, 'data'))[0]) === word;
    };
    t.ok(await echoes('before'));

    await agent.waitForLog('certificate renewed');
    await issuer.process.waitForLog(({ request }) => request === 'renew');
    const [first, second] = issuer.process.logs.filter(({ msg }) => msg === 'certificate issued');
    t.match(second, { request: 'renew', enrolment: id, subject: 'CN=node-1', names: first!.names });
    t.equal(second!.replaces, first!.serialNumber);
    await agent.waitForLog('reloaded');
    t.ok(await echoes('after'), 'the stream goes on');
    t.same(
      agent.logs.filter(({ msg }) => msg === 'disconnected'),
      [],
    );
    t.equal(await requestsOf(agent, 'request="renew",outcome="issued"'), 1);

    // By the token that it joined by, since the certificate has another number by now.
    await site.file('denied', `enrolment:${id}\n`);
    await issuer.process.waitForLog(
      ({ msg, files }) => msg === 'reloaded' && files === 'agent deny list',
    );
    const refused = await issuer.process.waitForLog('enrolment refused');
    t.match(refused, {
      ...{ request: '/v1/renew', code: 'certificate_refused', enrolment: id },
      reason: `--agent-denylist has enrolment:${id}`,
    });
    t.match(await agent.waitForLog('cannot renew the certificate'), {
      detail: /refused \(certificate_refused\): --agent-denylist has enrolment:/,
    });
    t.ok((await requestsOf(agent, 'request="renew",outcome="failed"')) >= 1);
    t.ok(await echoes('still'), 'the issuer cuts no tunnel: that is for the deny lists of servers');

    await site.file('denied', '');
    const isThird = ({ msg, replaces }: { msg: string; replaces?: unknown }) =>
      msg === 'certificate issued' && replaces === second!.serialNumber;
    await issuer.process.waitForLog(isThird);
    t.ok(await echoes('at last'), 'a failed renewal is tried again');
    socket.destroy();
  },
);

t.test('a certificate that has expired asks for a new token, in words', async (t) => {
  const site = await Installation.make();
  const issuer = await site.startIssuer(t, { 'certificate-lifetime': '2s' });
  const { text } = await site.token();
  const flags = { 'enrolment-server': `${loopback}:${issuer.port}` };
  const agent = await site.startAgent(t, flags, { FAIRLEAD_ENROLMENT_TOKEN: text });
  await agent.waitForLog('joined');
  await agent.close();
  const { notAfter } = agent.logs.find(({ msg }) => msg === 'joined')!;
  const untilMs = Date.parse(String(notAfter)) + 1000 - Date.now();
  await new Promise((resolve) => setTimeout(resolve, untilMs));

  const late = await site.startAgent(t, flags);
  t.match(await late.waitForLog('cannot join'), {
    detail:
      /agent\.pem expired at .*Z, and the clock of this machine says .*Z; if that is right, join anew with a token/,
  });
  const tokenFile = await site.file('token', '');
  await late.close();

  const waiting = await site.startAgent(t, { ...flags, 'enrolment-token-file': tokenFile });
  t.match(await waiting.waitForLog('cannot join'), { detail: /holds no token/ });
  await site.file('token', (await site.token()).text);
  await waiting.waitForLog('joined');
  t.match(
    (await runFairlead('token', 'list', '--token-dir', site.path('tokens'))).stdout,
    /^ID +AGENT +STATE .*\n([a-z2-7]{12} +node-1 +redeemed .*\n){2}$/,
    'the file is read anew',
  );
});
