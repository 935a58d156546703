/** Clients, operators and dashboards see one server, no matter which worker did the work. */

import { once } from 'node:events';
import { connect } from 'node:tls';
import type { WhyReport } from '@fairlead/server';
import { connectThrough, sharedTestPki, startEchoTarget, startPodTarget } from '@fairlead/testkit';
import t from 'tap';
import { runCommand } from '../../packages/cli/test/run-fairlead.ts';
import { loopback, metric, startAgent } from '../support/fleet.ts';
import { openStream, request } from './requests.ts';
import { startWorkersProcess, withWorkerAlone } from './workers.ts';

const agentIds = ['one', 'two'];

t.test('status, metrics and why combine all workers', async (t) => {
  const [echo, pod] = [await startEchoTarget(), await startPodTarget()];
  t.teardown(() => Promise.all([echo.close(), pod.close()]));
  const server = await startWorkersProcess(t, 's', ['--log-level=debug']);
  await Promise.all(agentIds.map((agentId) => startAgent(t, server.agentPort, { agentId })));
  await server.untilAllConnected(agentIds);

  const openStreams = (worker: number, length: number) =>
    withWorkerAlone(server, worker, () =>
      Promise.all(Array.from({ length }, () => openStream(server, echo))),
    );
  const streams = [...(await openStreams(1, 40)), ...(await openStreams(2, 20))];
  const status = await server.status();
  t.equal(status.serverId, 's');
  t.equal(status.streams, 60);
  t.strictSame(
    status.workers?.map(({ worker, serverId, state }) => ({ worker, serverId, state })),
    [
      { worker: 1, serverId: 's-1', state: 'ready' },
      { worker: 2, serverId: 's-2', state: 'ready' },
    ],
  );
  const streamsOf = (number: number) =>
    status.agents
      .filter(({ worker }) => worker === number)
      .reduce((sum, agent) => sum + agent.streams, 0);
  t.strictSame([streamsOf(1), streamsOf(2)], [40, 20]);
  const established = 'konnectivity_network_proxy_server_established_connections';
  t.equal(await metric(server, established), 60);
  t.equal(await metric(server, 'konnectivity_network_proxy_server_ready_backend_connections'), 4);
  t.equal(await metric(server, 'fairlead_server_workers'), 2);

  const target = `${echo.host}:${echo.port}`;
  const response = await fetch(
    `http://${loopback}:${server.adminPort}/api/v1/why?target=${target}`,
  );
  const why = (await response.json()) as WhyReport;
  t.equal(why.routing.matches, 4);
  t.strictSame(
    why.routing.agents.map(({ worker }) => worker),
    [1, 1, 2, 2],
  );
  t.strictSame(new Set(why.dials.map(({ worker }) => worker)), new Set([1, 2]));
  const bad = await fetch(`http://${loopback}:${server.adminPort}/api/v1/why?target=nowhere`);
  t.equal(bad.status, 400);

  const fairlead = async (...args: string[]) => {
    const admin = `--admin=http://${loopback}:${server.adminPort}`;
    const { code, stdout, stderr } = await runCommand([...args, admin]);
    t.strictSame({ code, stderr }, { code: 0, stderr: '' });
    return stdout;
  };
  const shown = await fairlead('status');
  t.match(shown, /^server s, version .*: 60 streams, 4 tunnels of 2 agents, /);
  t.match(shown, /\nworker 1, pid \d+: ready\nworker 2, pid \d+: ready\n\nWORKER {2}AGENT /);
  t.match(await fairlead('why', target), /\n {9}one at 127.0.0.1:\d+ in worker 1, \d+ streams\n/);

  for (const { socket } of streams) socket.destroy();
  await server.until('no stream is open', (now) => now.streams === 0);
  for (let count = 0; count < 10; count++) t.equal(await request(server, pod), undefined);
  const ends = 'fairlead_server_stream_ends_total{code="closed"}';
  const before = await metric(server, ends);
  t.ok(before >= 10);
  const line = await server.process.waitForLog(
    ({ msg, worker }) => msg === 'stream' && worker === 2,
  );
  t.match(line, { caller: 'uds' }, 'the access log names the worker');

  process.kill((await server.workers())[0]!.pid, 'SIGKILL');
  await server.until('the worker is replaced', ({ workers }) => workers?.[0]?.replacements === 1);
  t.ok((await metric(server, ends)) >= before, 'no counter decreases when a worker is replaced');
  t.equal(await metric(server, 'fairlead_server_worker_ends_total{how="SIGKILL"}'), 1);
});

t.test('another worker resumes TLS sessions, on both ports', async (t) => {
  const { frontend } = await sharedTestPki();
  const server = await startWorkersProcess(t, 's', [
    '--uds-name=',
    '--server-port=0',
    `--server-bind-address=${loopback}`,
    `--server-cert=${frontend.server.certFile}`,
    `--server-key=${frontend.server.keyFile}`,
    `--server-ca-cert=${frontend.caFile}`,
    '--log-level=debug',
  ]);
  // One address, so that each handshake comes after the tickets of the one before.
  const { log } = await startAgent(t, server.agentPort, { agentId: 'one' });
  await log.lineAfter(1, 'connected');
  t.strictSame(
    new Set(log.of('connected').map(({ serverId }) => serverId)),
    new Set(['s-1', 's-2']),
  );
  const handshakes = 'fairlead_server_agent_handshakes_total';
  t.ok((await metric(server, `${handshakes}{resumed="true"}`)) > 0, 'an agent resumed its session');
  t.equal(await metric(server, `${handshakes}{resumed="false"}`), 1);

  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const { port } = await server.process.waitForListener('frontend');
  const tls = { ca: frontend.ca, cert: frontend.client.cert, key: frontend.client.key };
  const { status, socket } = await connectThrough({
    via: { host: loopback, port, tls },
    target: `${echo.host}:${echo.port}`,
  });
  t.equal(status, 200);
  socket.destroy();
  const at = { ...tls, host: loopback, port, servername: 'localhost' };
  const session = await withWorkerAlone(server, 1, async () => {
    const first = connect(at).resume();
    const [ticket] = (await once(first, 'session')) as [Buffer];
    t.notOk(first.isSessionReused());
    first.destroy();
    return ticket;
  });
  await withWorkerAlone(server, 2, async () => {
    const client = connect({ ...at, session });
    await once(client, 'secureConnect');
    t.ok(client.isSessionReused(), 'a client resumed its session');
    client.end('GET / HTTP/1.1\r\n\r\n').resume();
    t.match(await server.process.waitForLog('request refused'), { worker: 2 });
    client.destroy();
  });
});
