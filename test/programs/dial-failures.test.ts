/** Dials that fail, and a client that is not told what failed, where, or not in time. */
import { reserveRefusedPort, startBlackholeTarget, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { type Answer, authority, wayNames, waysIn } from './clients.ts';
import { joinAgent, startServer, startService, transports } from './fixture.ts';

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
  t.test(`failures at the target, through a ${transport} tunnel`, async (t) => {
    await joinAgent(t, server, { transport, 'dial-timeout': '500ms' });
    const refusing = await reserveRefusedPort();
    t.teardown(() => refusing.close());
    const blackhole = await startBlackholeTarget();
    t.teardown(() => blackhole.close());

    for (const way of wayNames) {
      await t.test(way, async (t) => {
        const client = await waysIn[way](t, server);
        const refused = await client.ask(authority(refusing));
        checkRefusal(t, refused, 502, 'target_refused', 'target');

        const startedAtMs = performance.now();
        const silent = await client.ask(authority(blackhole));
        const elapsedMs = performance.now() - startedAtMs;
        // The server would end it after 30 s, with another code.
        checkRefusal(t, silent, 504, 'dial_timeout', 'target');
        t.ok(elapsedMs > 450, `not before the dial timeout: ${elapsedMs} ms`);
      });
    }
  });
}

t.test('a dial timeout that is longer than the default', async (t) => {
  await joinAgent(t, server, { 'dial-timeout': '6s' });
  const blackhole = await startBlackholeTarget();
  t.teardown(() => blackhole.close());
  const client = await waysIn['HTTP/1.1 over the UDS'](t, server);
  const startedAtMs = performance.now();
  const answer = await client.ask(authority(blackhole));
  const elapsedMs = performance.now() - startedAtMs;
  checkRefusal(t, answer, 504, 'dial_timeout', 'target');
  t.ok(elapsedMs > 5_900, `the agent keeps to its flag: ${elapsedMs} ms`);
});

t.test('an agent that takes longer than the server waits', async (t) => {
  // With the default of the server, 30 s, the agent's would be the first to pass.
  const { server } = await startService(t, {
    server: { 'backend-dial-timeout': '500ms' },
    agent: { 'dial-timeout': '20s' },
  });
  const blackhole = await startBlackholeTarget();
  t.teardown(() => blackhole.close());
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  for (const way of wayNames) {
    await t.test(way, async (t) => {
      const client = await waysIn[way](t, server);
      const startedAtMs = performance.now();
      const answer = await client.ask(authority(blackhole));
      const elapsedMs = performance.now() - startedAtMs;
      checkRefusal(t, answer, 504, 'backend_dial_timeout', 'agent');
      t.ok(elapsedMs > 450, `not before the server's timeout: ${elapsedMs} ms`);
      t.equal((await client.ask(authority(echo))).status, 200, 'the tunnel goes on');
    });
  }
});

t.test('a name that does not exist', async (t) => {
  // A resolver that answers slowly is not what is tried here.
  await joinAgent(t, server, { 'dial-timeout': '25s' });
  const clients = await Promise.all(wayNames.map((way) => waysIn[way](t, server)));
  const answers = await Promise.all(
    clients.map((client) => client.ask('no-such-host.invalid:443')),
  );
  for (const answer of answers) checkRefusal(t, answer, 502, 'dns_failed', 'agent');
});

t.test('no agent', async (t) => {
  for (const way of wayNames) {
    await t.test(way, async (t) => {
      const client = await waysIn[way](t, server);
      checkRefusal(t, await client.ask('127.0.0.1:443'), 503, 'no_agent', 'server');
    });
  }
});
