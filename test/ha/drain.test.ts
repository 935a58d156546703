import { startEchoTarget, startPodTarget } from '@fairlead/testkit';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t from 'tap';
import { startAgent, startServer } from '../support/fleet.ts';
import { isReady, openStream, request } from './requests.ts';

t.test('a draining server is unready at once, and serves for --shutdown-delay', async (t) => {
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
  const stream = await openStream(server, echo);

  const drained = server.server.drain();
  t.notOk(await isReady(server), 'unready at once');
  await log.line('server drains');
  for (let count = 0; count < 3; count++) t.equal(await request(server, pod), undefined);

  await time.advance(2_999);
  t.equal(await request(server, pod), undefined, 'serves until the delay is over');
  await time.advance(1_001);
  const progress = await server.log.lineAfter(3, 'draining');
  t.equal(progress.streams, 1, 'logs its progress each second');
  t.ok(Number(progress.secondsLeft) >= 10 && Number(progress.secondsLeft) <= 20);
  t.match(await request(server, pod), /ECONNREFUSED|ENOENT/, 'refuses new streams after the delay');
  stream.socket.end('last words');
  t.equal(Buffer.concat(await stream.socket.toArray()).toString(), 'last words');
  await drained;
});

t.test('a drain skips --shutdown-delay if no client checks readiness', async (t) => {
  const time = controlTime(t);
  const server = await startServer(t, { serverId: 'a', shutdownDelay: 20_000 });
  await server.server.drain();
  t.equal(time.pendingTimers, 0);
});

t.test('a draining agent keeps its streams, and new ones go to another agent', async (t) => {
  const [pod, echo] = [await startPodTarget(), await startEchoTarget()];
  t.teardown(() => Promise.all([pod.close(), echo.close()]));
  const server = await startServer(t, { serverId: 'a' });
  const draining = await startAgent(t, server.agentPort, {
    agentId: 'draining',
    gracefulShutdownTimeout: 20_000,
  });
  await server.log.line('agent connected');
  const stream = await openStream(server, echo);

  const drained = draining.agent.drain();
  await server.log.line('agent drains');
  t.equal(
    await request(server, pod),
    undefined,
    'it serves new streams while it is the only agent',
  );
  await startAgent(t, server.agentPort, { agentId: 'other' });
  await server.log.lineAfter(1, 'agent connected');
  for (let count = 0; count < 5; count++) t.equal(await request(server, pod), undefined);
  t.match(await draining.log.line('draining'), { streams: 1 });
  t.equal(pod.stats.requests, 6);

  stream.socket.end('last words');
  t.equal(Buffer.concat(await stream.socket.toArray()).toString(), 'last words');
  await drained;
  t.strictSame(server.agentIds(), ['other']);
  t.equal(await request(server, pod), undefined);
});
