import { startEchoTarget, startPodTarget } from '@fairlead/testkit';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t from 'tap';
import { startAgent, startServer } from '../support/fleet.ts';
import { isReady, openStream, request } from './requests.ts';

t.test(
  'a server that drains is unready first, and serves clients that have not noticed',
  async (t) => {
    const time = controlTime(t);
    const [pod, echo] = [await startPodTarget(), await startEchoTarget()];
    t.teardown(() => Promise.all([pod.close(), echo.close()]));
    const server = await startServer(t, {
      serverId: 'a',
      shutdownDelay: 3_000,
      gracefulShutdownTimeout: 20_000,
    });
    const { log } = await startAgent(t, server.agentPort, { agentId: 'x' });
    await server.log.line('agent connected');
    t.ok(await isReady(server));
    const open = await openStream(server, echo);

    const drained = server.server.drain();
    t.notOk(await isReady(server), 'at once');
    await log.line('server drains');
    for (let count = 0; count < 3; count++) t.equal(await request(server, pod), undefined);

    await time.advance(2_999);
    t.equal(await request(server, pod), undefined, 'until the delay is over');
    await time.advance(1_001);
    const progress = await server.log.lineAfter(3, 'draining');
    t.equal(progress.streams, 1, 'told each second, and now the delay is over');
    t.ok(Number(progress.secondsLeft) >= 10 && Number(progress.secondsLeft) <= 20);
    t.match(await request(server, pod), /ECONNREFUSED|ENOENT/, 'and then no more');
    open.socket.end('last words');
    t.equal(Buffer.concat(await open.socket.toArray()).toString(), 'last words');
    await drained;
  },
);

t.test('a drain does not wait if no client asks for readiness', async (t) => {
  const time = controlTime(t);
  const server = await startServer(t, { serverId: 'a', shutdownDelay: 20_000 });
  await server.server.drain();
  t.equal(time.pendingTimers, 0);
});

t.test(
  'an agent that drains: no new streams while there is another, open ones go on',
  async (t) => {
    const [pod, echo] = [await startPodTarget(), await startEchoTarget()];
    t.teardown(() => Promise.all([pod.close(), echo.close()]));
    const server = await startServer(t, { serverId: 'a' });
    const leaving = await startAgent(t, server.agentPort, {
      agentId: 'leaving',
      gracefulShutdownTimeout: 20_000,
    });
    await server.log.line('agent connected');
    const open = await openStream(server, echo);

    const drained = leaving.agent.drain();
    await server.log.line('agent drains');
    t.equal(await request(server, pod), undefined, 'it is the only one, and still serves');
    await startAgent(t, server.agentPort, { agentId: 'staying' });
    await server.log.lineAfter(1, 'agent connected');
    for (let count = 0; count < 5; count++) t.equal(await request(server, pod), undefined);
    t.match(await leaving.log.line('draining'), { streams: 1 });
    t.equal(pod.stats.requests, 6);

    open.socket.end('last words');
    t.equal(Buffer.concat(await open.socket.toArray()).toString(), 'last words');
    await drained;
    t.strictSame(server.agentIds(), ['staying']);
    t.equal(await request(server, pod), undefined);
  },
);
