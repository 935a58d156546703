/** A worker that dies or freezes is replaced, and only its own requests in flight fail. */
import { startPodTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { startAgent, type TestAgent } from '../support/fleet.ts';
import { type FailedRequest, type Kill, type Load, startLoad, wasInFlight } from './load.ts';
import { freeze, untilProcessEnds } from './process-state.ts';
import { untilReady } from './requests.ts';
import { isAllConnected, startWorkersProcess, type WorkersProcess } from './workers.ts';

const agentIds = ['one', 'two', 'three'];

interface LoadedServer {
  readonly server: WorkersProcess;
  readonly agents: readonly TestAgent[];
  readonly load: Load;
}

async function startLoadedServer(t: Test, flags: readonly string[]): Promise<LoadedServer> {
  const target = await startPodTarget();
  t.teardown(() => target.close());
  const server = await startWorkersProcess(t, 's', flags);
  const agents = await Promise.all(
    agentIds.map((agentId) => startAgent(t, server.agentPort, { agentId })),
  );
  await server.untilAllConnected(agentIds);
  await untilReady(server);
  const load = startLoad([server], [target]);
  await load.ended(20);
  return { server, agents, load };
}

/** Kills or freezes a worker, and waits until another process has its slot and all agents. */
async function failWorker(
  t: Test,
  { server, load }: LoadedServer,
  number: number,
  signal: 'SIGKILL' | 'SIGSTOP',
): Promise<Kill> {
  const { pid, serverId } = (await server.workers())[number - 1]!;
  const fromMs = performance.now();
  if (signal === 'SIGSTOP') await freeze(pid);
  else {
    process.kill(pid, signal);
    await untilProcessEnds(pid);
  }
  const toMs = performance.now();
  const status = await server.until(
    'the worker is replaced and has all agents',
    (now) => now.workers?.[number - 1]?.pid !== pid && isAllConnected(now, agentIds),
  );
  t.comment(`worker ${number} is replaced after ${Math.round(performance.now() - fromMs)} ms`);
  t.equal(
    status.workers?.[number - 1]?.serverId,
    serverId,
    'the replacement has the same server ID',
  );
  t.equal(status.workers?.[number - 1]?.replacements, 1);
  await load.ended(20);
  return { fromMs, toMs };
}

/** Stops the load. @returns failed requests that were not in flight to a failed worker */
async function unexpectedFailures(
  t: Test,
  { load }: LoadedServer,
  ...kills: readonly Kill[]
): Promise<FailedRequest[]> {
  const { sent, failures } = await load.stop();
  t.comment(`${sent} requests, ${failures.length} failed`);
  t.ok(sent >= 40);
  return failures.filter((failure) => !kills.some((kill) => wasInFlight(failure, kill)));
}

t.test('replaces workers, and agents redial until they reach all of them', async (t) => {
  const loaded = await startLoadedServer(t, ['--worker-timeout=5s']);
  const killed = await failWorker(t, loaded, 1, 'SIGKILL');
  const frozen = await failWorker(t, loaded, 2, 'SIGSTOP');
  t.strictSame(await unexpectedFailures(t, loaded, killed, frozen), []);
  const { process } = loaded.server;
  t.match(await process.waitForLog('worker is killed'), {
    worker: 2,
    reason: 'it does not respond',
  });
  const ends = process.logs.filter(({ msg }) => msg === 'worker has ended and is replaced');
  t.match(ends, [
    { worker: 1, signal: 'SIGKILL' },
    { worker: 2, signal: 'SIGKILL' },
  ]);
});

t.test('replaces a worker, and agents reach each worker at its own address', async (t) => {
  const loaded = await startLoadedServer(t, ['--advertise-agent-address=127.0.0.1:1']);
  const { process } = loaded.server;
  const own = process.logs
    .filter(({ listener }) => listener === 'worker-agent')
    .map(({ port }) => `127.0.0.1:${port}`);
  t.equal(own.length, 2);
  for (const { log } of loaded.agents) {
    t.strictSame(new Set(log.of('peer added').map(({ server }) => server)), new Set(own));
  }
  const kill = await failWorker(t, loaded, 2, 'SIGKILL');
  t.strictSame(await unexpectedFailures(t, loaded, kill), []);
});
