/** Signals, drain and exit of a server with several workers. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startEchoTarget, startPodTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { startAgent } from '../support/fleet.ts';
import { untilProcessEnds } from './process-state.ts';
import { openStream, request } from './requests.ts';
import { startWorkersProcess, type WorkersProcess, withWorkerAlone } from './workers.ts';

async function startConnectedServer(t: Test, ...flags: string[]): Promise<WorkersProcess> {
  const server = await startWorkersProcess(t, 's', flags);
  await startAgent(t, server.agentPort, { agentId: 'one' });
  await server.untilAllConnected(['one']);
  return server;
}

/** Opens five streams in each worker. */
async function openStreams(t: Test, server: WorkersProcess) {
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const open = () => Promise.all(Array.from({ length: 5 }, () => openStream(server, echo)));
  const inFirst = await withWorkerAlone(server, 1, open);
  const streams = [...inFirst, ...(await withWorkerAlone(server, 2, open))];
  t.teardown(() => {
    for (const { socket } of streams) socket.destroy();
  });
  return streams;
}

t.test('SIGHUP reaches all workers, and only a SIGTERM to the primary drains them', async (t) => {
  const pod = await startPodTarget();
  t.teardown(() => pod.close());
  const peers = join(t.testdir({ peers: '[]' }), 'peers');
  const flags = ['--reload-interval=24h', '--graceful-shutdown-timeout=100s'];
  const server = await startConnectedServer(t, `--peers-file=${peers}`, ...flags);
  writeFileSync(peers, '["127.0.0.1:1"]');
  server.process.kill('SIGHUP');
  for (const worker of [1, 2]) {
    await server.process.waitForLog((line) => line.msg === 'reloaded' && line.worker === worker);
  }

  const pids = (await server.workers()).map(({ pid }) => pid);
  const streams = await openStreams(t, server);
  // Terminals and service managers signal the whole process group.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    for (const pid of pids) process.kill(pid, signal);
  }
  t.equal(
    await request(server, pod),
    undefined,
    'a worker that gets the signal alone does not drain',
  );
  server.process.kill('SIGTERM');
  for (const worker of [1, 2]) {
    const progress = await server.process.waitForLog(
      (line) => line.msg === 'draining' && line.worker === worker,
    );
    t.ok(Number(progress.secondsLeft) > 50);
    t.equal(progress.streams, 5);
  }
  t.match(await request(server, pod), /ENOENT|ECONNREFUSED/, 'new streams are refused');
  for (const { socket } of streams) socket.end('last words');
  for (const { socket } of streams) {
    t.equal(Buffer.concat(await socket.toArray()).toString(), 'last words');
  }
  t.strictSame(await server.process.exit, { code: 0, signal: null });
  await Promise.all(pids.map(untilProcessEnds));
});

t.test('a second SIGTERM ends all workers at once', async (t) => {
  const server = await startConnectedServer(t);
  const pids = (await server.workers()).map(({ pid }) => pid);
  await openStreams(t, server);
  server.process.kill('SIGTERM');
  await server.process.waitForLog((line) => line.msg === 'draining' && line.worker !== undefined);
  server.process.kill('SIGTERM');
  t.strictSame(await server.process.exit, { code: 1, signal: null });
  await Promise.all(pids.map(untilProcessEnds));
});

for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
  t.test(`workers end after ${signal} to the primary`, async (t) => {
    const server = await startConnectedServer(
      t,
      ...(signal === 'SIGSTOP' ? ['--worker-timeout=5s'] : []),
    );
    const pids = (await server.workers()).map(({ pid }) => pid);
    server.process.kill(signal);
    await Promise.all(pids.map(untilProcessEnds));
    t.pass('all workers have ended');
  });
}

t.test('a successor takes over the socket, and its predecessor does not remove it', async (t) => {
  const pod = await startPodTarget();
  t.teardown(() => pod.close());
  const first = await startConnectedServer(t);
  const flags = [`--uds-name=${first.uds.path}`, '--uds-takeover'];
  const second = { ...(await startConnectedServer(t, ...flags)), uds: first.uds };
  first.process.kill('SIGTERM');
  t.strictSame(await first.process.exit, { code: 0, signal: null });
  t.equal(await request(second, pod), undefined);
  second.process.kill('SIGTERM');
  await second.process.exit;
  t.notOk(existsSync(first.uds.path));
});
