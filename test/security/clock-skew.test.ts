/** Certificates that appear expired or not yet valid because the clock of a machine is wrong. */
import t from 'tap';
import { loopback } from '../support/fleet.ts';
import { Installation, newRequest } from './enrollment-fixture.ts';

const hourMs = 3_600_000;
const time = '\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z';

/** The environment of a program whose JavaScript clock is ahead. OpenSSL still sees the real time. */
function clockAhead(byMs: number): Record<string, string> {
  const script = `const Real = Date;
    globalThis.Date = class Date extends Real {
      constructor(...given) {
        if (given.length === 0) super(Real.now() + ${byMs});
        else super(...given);
      }
      static now() { return Real.now() + ${byMs}; }
    };`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}` };
}

t.test('if the clock of the issuer is ahead, all programs log both times', async (t) => {
  const site = await Installation.make();
  const server = await site.startServer(t);
  const { port } = await site.startIssuerProcess(t, {}, clockAhead(2 * hourMs));
  const { text: enrollmentToken } = await site.token({}, 24 * hourMs);
  const { log } = await site.startAgent(t, {
    enrollmentServer: { host: loopback, port },
    enrollmentToken,
    proxyServerPort: server.agentPort,
  });
  const both = new RegExp(`is not valid before ${time}, and the clock of .* says ${time}`);
  t.match(await log.line(/certificate is not valid now/), { detail: both });
  // The server logs the same and reports it to the agent.
  const refused = await server.log.line(/refused/);
  t.match(refused.reason, both);
  const report = await log.line(/./, (line) => /CERT_NOT_YET_VALID/.test(JSON.stringify(line)));
  t.match(JSON.stringify(report), both);

  const { text: expired } = await site.token({}, hourMs);
  const body = { token: expired, csr: newRequest().csr };
  t.match(await site.ask(port, '/v1/enrol', { body }), {
    code: 'token_expired',
    error: new RegExp(`^the token expired at ${time}, and the issuer's clock says ${time}$`),
  });
});

t.test('if the clock of the agent is ahead, the agent logs both times', async (t) => {
  const site = await Installation.make();
  const { port } = await site.startIssuer(t);
  const { text: FAIRLEAD_ENROLLMENT_TOKEN } = await site.token();
  const flags = { 'enrollment-server': `${loopback}:${port}` };
  const ahead = clockAhead(2_400 * hourMs);
  const agent = await site.startAgentProcess(t, flags, { FAIRLEAD_ENROLLMENT_TOKEN, ...ahead });
  const warned = await agent.waitForLog(({ msg }) => /is ahead of the issuer's/.test(msg));
  const apartMs = Date.parse(String(warned.clock)) - Date.parse(String(warned.issuerClock));
  t.ok(Math.abs(apartMs - 2_400 * hourMs) < 60_000, 'the warning has both times');
  const both = new RegExp(`expired at ${time}, and the clock of this machine says ${time}`);
  t.match(await agent.waitForLog(({ msg }) => /certificate is not valid now/.test(msg)), {
    detail: both,
  });
  await agent.close();
  const again = await site.startAgentProcess(t, flags, ahead);
  t.match(await again.waitForLog('cannot join'), { detail: both });
});

t.test('an issuer whose own certificate appears expired answers 503 with both times', async (t) => {
  const site = await Installation.make();
  const { process: issuer, port } = await site.startIssuerProcess(
    t,
    {},
    clockAhead(90_000 * hourMs),
  );
  const both = new RegExp(`expired at ${time}, and the clock of this machine says ${time}`);
  t.match(await issuer.waitForLog(({ msg }) => /--issuer-cert: .*expired at/.test(msg)), {
    msg: both,
  });
  const { text: token } = await site.token({}, 100_000 * hourMs);
  const answer = await site.ask(port, '/v1/enrol', { body: { token, csr: newRequest().csr } });
  t.match(answer, { status: 503, code: 'unavailable', error: both });
});
