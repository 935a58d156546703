/**
 * Failed dials: the client receives a status, a code, where the dial failed, and after how long. That no dial
 * takes much longer than its timeout is tested in paced time, in test/transports/dial-failures.test.ts.
 */
import { reserveRefusedPort, startBlackholeTarget, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { type Answer, authority, clientKinds, openClient } from './clients.ts';
import { connectAgent, startServer, startService, transports } from './fixture.ts';

/** Checks status, code and the one line of text. */
function checkRefusal(t: Test, answer: Answer, status: number, code: string, where: string): void {
  t.equal(answer.status, status);
  t.equal(answer.code, code);
  t.match(answer.contentType, /^text\/plain/);
  const line = new RegExp(`^[^\\r\\n]+ \\(${code} at the ${where}, [^\\r\\n]*after \\d+ ms\\)\\n$`);
  t.match(answer.body, line, 'one line: what failed, where, and how long it took');
}

const server = await startServer(t);

for (const transport of transports) {
  t.test(`answers 502 if the target refuses and 504 if it is silent, ${transport}`, async (t) => {
    await connectAgent(t, server, { transport, 'dial-timeout': '500ms' });
    const refusing = await reserveRefusedPort();
    t.teardown(() => refusing.close());
    const blackhole = await startBlackholeTarget();
    t.teardown(() => blackhole.close());

    for (const kind of clientKinds) {
      await t.test(kind, async (t) => {
        const client = await openClient[kind](t, server);
        const refused = await client.ask(authority(refusing));
        checkRefusal(t, refused, 502, 'target_refused', 'target');

        const startedAtMs = performance.now();
        const silent = await client.ask(authority(blackhole));
        const elapsedMs = performance.now() - startedAtMs;
        // The server's own deadline is 30 s and has another code.
        checkRefusal(t, silent, 504, 'dial_timeout', 'target');
        t.ok(elapsedMs > 450, `not before the dial timeout: ${elapsedMs} ms`);
      });
    }
  });
}

t.test("applies the agent's --dial-timeout if it is longer than the default", async (t) => {
  await connectAgent(t, server, { 'dial-timeout': '6s' });
  const blackhole = await startBlackholeTarget();
  t.teardown(() => blackhole.close());
  const client = await openClient['HTTP/1.1 over the UDS'](t, server);
  const startedAtMs = performance.now();
  const answer = await client.ask(authority(blackhole));
  const elapsedMs = performance.now() - startedAtMs;
  checkRefusal(t, answer, 504, 'dial_timeout', 'target');
  t.ok(elapsedMs > 5_900, `not before the dial timeout: ${elapsedMs} ms`);
});

t.test('answers 504 at --backend-dial-timeout if the agent takes longer', async (t) => {
  // The server's default, 30 s, is longer than the agent's timeout, which has another code.
  const { server } = await startService(t, {
    server: { 'backend-dial-timeout': '500ms' },
    agent: { 'dial-timeout': '20s' },
  });
  const blackhole = await startBlackholeTarget();
  t.teardown(() => blackhole.close());
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  for (const kind of clientKinds) {
    await t.test(kind, async (t) => {
      const client = await openClient[kind](t, server);
      const startedAtMs = performance.now();
      const answer = await client.ask(authority(blackhole));
      const elapsedMs = performance.now() - startedAtMs;
      checkRefusal(t, answer, 504, 'backend_dial_timeout', 'agent');
      t.ok(elapsedMs > 450, `not before the server's timeout: ${elapsedMs} ms`);
      t.equal((await client.ask(authority(echo))).status, 200, 'the tunnel still serves');
    });
  }
});

t.test('answers 502 if the name does not exist', async (t) => {
  // A slow resolver must not fail the test.
  await connectAgent(t, server, { 'dial-timeout': '25s' });
  const clients = await Promise.all(clientKinds.map((kind) => openClient[kind](t, server)));
  const answers = await Promise.all(
    clients.map((client) => client.ask('no-such-host.invalid:443')),
  );
  for (const answer of answers) checkRefusal(t, answer, 502, 'dns_failed', 'agent');
});

t.test('answers 503 if no agent is connected', async (t) => {
  for (const kind of clientKinds) {
    await t.test(kind, async (t) => {
      const client = await openClient[kind](t, server);
      checkRefusal(t, await client.ask('127.0.0.1:443'), 503, 'no_agent', 'server');
    });
  }
});
