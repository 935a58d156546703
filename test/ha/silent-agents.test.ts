import { once } from 'node:events';
import type { Socket } from 'node:net';
import { startEchoTarget, startPodTarget, startSlowLink } from '@fairlead/testkit';
import t from 'tap';
import { metric, startAgent, startServer } from '../support/fleet.ts';
import { usePacedTime } from '../support/paced-time.ts';
import { startAgentProcess } from './agent-process.ts';
import { freeze } from './process-state.ts';
import { openStream, request } from './requests.ts';

/** Sends a line and waits for its echo. */
async function echoed(socket: Socket, text: string): Promise<boolean> {
  socket.write(text);
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  return chunk.toString() === text;
}

/** How long `work` takes, in ms of this process's paced time. */
async function durationOf(work: Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  await work;
  return performance.now() - startedAtMs;
}

t.test('dials to a frozen agent are retried, and other streams go on', async (t) => {
  usePacedTime(t, { withProcesses: true });
  const [pod, echo] = [await startPodTarget(), await startEchoTarget()];
  t.teardown(() => Promise.all([pod.close(), echo.close()]));
  const server = await startServer(t, {
    serverId: 'a',
    pingInterval: 20_000,
    pingTimeout: 20_000,
  });
  const one = await startAgentProcess(t, server.agentPort, 'one');
  await startAgent(t, server, { agentId: 'other' });
  await server.untilAgents(2);

  // Two streams that are opened at the same time go to different agents.
  const streams = await Promise.all([openStream(server, echo), openStream(server, echo)]);
  for (const { socket } of streams) t.ok(await echoed(socket, 'before'));

  await freeze(one.pid);
  const dialMs = await Promise.all(
    Array.from({ length: 20 }, async () => {
      let failure: string | undefined;
      const ms = await durationOf(
        request(server, pod).then((outcome) => {
          failure = outcome;
        }),
      );
      t.equal(failure, undefined);
      return ms;
    }),
  );
  const slowest = Math.max(...dialMs);
  t.ok(slowest < 5_000, `the slowest of 20 dials took ${Math.round(slowest)} ms`);
  t.match(await server.log.line('agent is silent'), { agent: 'one' });
  const retries = () => metric(server, 'fairlead_server_dial_retries_total{code="tunnel_silent"}');
  const retriesBefore = await retries();
  t.ok(retriesBefore > 0);

  // The server sends no more dials to the silent agent, although its tunnel is still up.
  t.equal(server.agentIds().length, 2);
  const outcomes = await Promise.all(Array.from({ length: 50 }, () => request(server, pod)));
  t.ok(outcomes.every((failure) => failure === undefined));
  t.equal(await retries(), retriesBefore, 'none of 50 more dials goes to the frozen agent');
  const answers = streams.map(({ socket }) => echoed(socket, 'during'));
  t.ok(await Promise.any(answers), 'the stream of the other agent goes on');

  one.kill('SIGCONT');
  t.match(await server.log.line('agent is heard again'), { agent: 'one' });
  t.strictSame(await Promise.all(answers), [true, true], 'the stream of the frozen agent resumes');
  for (const { socket } of streams) socket.destroy();
});

t.test('answers 504 within seconds if the only agent is frozen', async (t) => {
  usePacedTime(t, { withProcesses: true });
  const pod = await startPodTarget();
  t.teardown(() => pod.close());
  const server = await startServer(t, { serverId: 'a' });
  const agent = await startAgentProcess(t, server.agentPort, 'one');
  await server.log.line('agent connected');
  await freeze(agent.pid);
  for (const within of [5_000, 4_000]) {
    const startedAtMs = performance.now();
    t.match(await request(server, pod), /^504 .*the agent stopped answering/);
    const tookMs = performance.now() - startedAtMs;
    t.ok(tookMs < within, `${Math.round(tookMs)} ms`);
  }
  agent.kill('SIGCONT');
  await server.log.line('agent is heard again');
  t.equal(await request(server, pod), undefined);
});

t.test('streams of a partitioned agent end with tunnel_silent, and it reconnects', async (t) => {
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const [pingInterval, pingTimeout] = [400, 800];
  usePacedTime(t);
  const server = await startServer(t, { serverId: 'a', pingInterval, pingTimeout });
  const link = await startSlowLink({
    to: { host: '127.0.0.1', port: server.agentPort },
    delayMs: 0,
    bytesPerSecond: 1e9,
  });
  t.teardown(() => link.close());
  const { agent, log } = await startAgent(t, link.port, {
    agentId: 'x',
    pingInterval,
    pingTimeout,
  });
  await server.log.line('agent connected');
  const streams = await Promise.all([1, 2, 3].map(() => openStream(server, echo)));
  for (const { socket } of streams) {
    socket.on('error', () => {});
    t.ok(await echoed(socket, 'before'));
  }

  link.sever();
  const ends = streams.map(({ socket }) => once(socket, 'end'));
  const endedMs = await durationOf(Promise.all(ends));
  t.ok(endedMs < pingInterval + pingTimeout + 1_000, `ended after ${Math.round(endedMs)} ms`);
  t.ok(endedMs > pingTimeout, 'not before the timeout');
  t.match(await server.log.line('agent disconnected'), { code: 'tunnel_silent' });
  await server.log.lineAfter(2, 'stream');
  t.strictSame(
    server.log.of('stream').map(({ end }) => end),
    ['tunnel_silent', 'tunnel_silent', 'tunnel_silent'],
  );
  t.strictSame(
    [
      await metric(server, 'konnectivity_network_proxy_server_established_connections'),
      await metric(server, 'konnectivity_network_proxy_server_ready_backend_connections'),
      await metric(
        server,
        'konnectivity_network_proxy_server_ready_backends{proxy_strategy="default"}',
      ),
    ],
    [0, 0, 0],
  );
  await log.line('disconnected');
  t.notOk(agent.isReady);
  const reconnectMs = await durationOf(
    (async () => {
      // The link still holds bytes of the dead connection, which must not matter.
      link.reset();
      link.resume();
      await server.log.lineAfter(1, 'agent connected');
    })(),
  );
  t.comment(`reconnected after ${Math.round(reconnectMs)} ms`);
  const [reply] = [await openStream(server, echo)];
  t.ok(await echoed(reply.socket, 'after'));
  reply.socket.destroy();
});
