/** Agents and servers that end: new streams go to another agent, and tunnels are reestablished. */
import { once } from 'node:events';
import { startEchoTarget, startSlowLink } from '@fairlead/testkit';
import t from 'tap';
import { loopback, startAgent, startServer } from '../support/fleet.ts';
import { usePacedTime } from '../support/paced-time.ts';
import { exchange, failureOf, open, startService, transports } from './service.ts';

const echo = await startEchoTarget();
t.teardown(() => echo.close());

/** Less than a PING takes to find a dead peer. */
const maxFailureMs = 1_000;

for (const transport of transports) {
  t.test(`streams of an ended agent end, new ones go to another, ${transport}`, async (t) => {
    const { server, agent: first } = await startService(t, transport);
    const cut = await open(t, server, 'HTTP/2 over the UDS', echo);
    t.equal(await exchange(cut, 'before'), 'before');
    const second = await startAgent(t, server, { transport });
    await server.untilAgents(2);
    const failure = failureOf(cut);
    await first.agent.close();
    t.ok(await failure, 'a stream of the ended agent fails');
    await server.untilAgents(1);
    const next = await open(t, server, 'HTTP/1.1 over mTLS', echo);
    t.equal(await exchange(next, 'after'), 'after');
    await second.agent.close();
    await server.untilAgents(0);
    await t.rejects(open(t, server, 'HTTP/1.1 over mTLS', echo), { code: 'no_agent' });
  });

  t.test(`streams end with a broken tunnel, and the agent reconnects, ${transport}`, async (t) => {
    usePacedTime(t);
    const server = await startServer(t);
    const to = { host: loopback, port: server.agentPort };
    const link = await startSlowLink({ to, delayMs: 0, bytesPerSecond: 1e9 });
    t.teardown(() => link.close());
    const agent = await startAgent(t, link.port, { transport });
    await server.untilAgents(1);
    await agent.log.line('connected');
    const cut = await open(t, server, 'HTTP/2 over the UDS', echo);
    t.equal(await exchange(cut, 'before'), 'before');
    const failure = failureOf(cut);
    const brokenAtMs = performance.now();
    link.reset();
    t.ok(await failure, 'a stream of the broken tunnel fails');
    const failedMs = performance.now() - brokenAtMs;
    t.ok(failedMs < maxFailureMs, `${failedMs} ms after the break`);
    await agent.log.line('disconnected');
    await server.log.lineAfter(1, 'agent connected');
    const stream = await open(t, server, 'HTTP/1.1 over the UDS', echo);
    t.equal(await exchange(stream, 'again'), 'again');
  });
}

t.test('an agent connects to a server that replaces another on the same port', async (t) => {
  const { server, agent } = await startService(t, 'tls');
  await server.server.close();
  await agent.log.line('disconnected');
  const next = await startServer(t, { agentPort: server.agentPort });
  await next.untilAgents(1);
  const stream = await open(t, next, 'HTTP/1.1 over the UDS', echo);
  t.equal(await exchange(stream, 'again'), 'again');
});

t.test('a stream that its target ends is not retried through another agent', async (t) => {
  const { server } = await startService(t, 'tls');
  await startAgent(t, server);
  await server.untilAgents(2);
  const stream = await open(t, server, 'HTTP/1.1 over the UDS', echo);
  stream.end();
  await once(stream.resume(), 'end');
  t.equal(await server.metric('fairlead_server_dial_retries_total'), 0);
});
