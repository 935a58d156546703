/** A worker that dies or stops takes its own requests along and nothing else, and is replaced. */
import { startPodTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { startAgent, type TestAgent } from '../support/fleet.ts';
import { type FailedRequest, type Kill, type Load, startLoad, wasInFlight } from './load.ts';
import { freeze, untilGone } from './process-state.ts';
import { untilReady } from './requests.ts';
import { isWhole, startWorkersProcess, type WorkersProcess } from './workers.ts';

const agentIds = ['one', 'two', 'three'];

interface Loaded {
  readonly server: WorkersProcess;
  readonly agents: readonly TestAgent[];
  readonly load: Load;
}

async function startLoaded(t: Test, flags: readonly string[]): Promise<Loaded> {
  const target = await startPodTarget();
  t.teardown(() => target.close());
  const server = await startWorkersProcess(t, 's', flags);
  const agents = await Promise.all(
    agentIds.map((agentId) => startAgent(t, server.agentPort, { agentId })),
  );
  await server.untilWhole(agentIds);
  await untilReady(server);
  const load = startLoad([server], [target]);
  await load.ended(20);
  return { server, agents, load };
}

/** Kills or freezes a worker, and waits until another process has its slot and its agents. */
async function lose(
  t: Test,
  { server, load }: Loaded,
  number: number,
  signal: 'SIGKILL' | 'SIGSTOP',
): Promise<Kill> {
  const { pid, serverId } = (await server.workers())[number - 1]!;
  const fromMs = performance.now();
  if (signal === 'SIGSTOP') await freeze(pid);
  else {
    process.kill(pid, signal);
    await untilGone(pid);
  }
  const toMs = performance.now();
  const status = await server.until(
    'the worker is replaced and has all agents',
    (now) => now.workers?.[number - 1]?.pid !== pid && isWhole(now, agentIds),
  );
  t.comment(`worker ${number} is replaced after ${Math.round(performance.now() - fromMs)} ms`);
  t.equal(status.workers?.[number - 1]?.serverId, serverId, 'under the same name');
  t.equal(status.workers?.[number - 1]?.replacements, 1);
  await load.ended(20);
  return { fromMs, toMs };
}

/** Ends the load. @returns the requests that failed though they were not with a lost worker */
async function othersFailed(
  t: Test,
  { load }: Loaded,
  ...kills: readonly Kill[]
): Promise<FailedRequest[]> {
  const { sent, failures } = await load.stop();
  t.comment(`${sent} requests, ${failures.length} failed`);
  t.ok(sent >= 40);
  return failures.filter((failure) => !kills.some((kill) => wasInFlight(failure, kill)));
}

t.test('a worker is killed and another one freezes; agents dial until they have all', async (t) => {
  const loaded = await startLoaded(t, ['--worker-timeout=5s']);
  const killed = await lose(t, loaded, 1, 'SIGKILL');
  const frozen = await lose(t, loaded, 2, 'SIGSTOP');
  t.strictSame(await othersFailed(t, loaded, killed, frozen), []);
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

t.test('a worker is killed; agents know the addresses of each', async (t) => {
  const loaded = await startLoaded(t, ['--advertise-agent-address=127.0.0.1:1']);
  const { process } = loaded.server;
  const own = process.logs
    .filter(({ listener }) => listener === 'worker-agent')
    .map(({ port }) => `127.0.0.1:${port}`);
  t.equal(own.length, 2);
  for (const { log } of loaded.agents) {
    t.strictSame(new Set(log.of('peer added').map(({ server }) => server)), new Set(own));
  }
  const kill = await lose(t, loaded, 2, 'SIGKILL');
  t.strictSame(await othersFailed(t, loaded, kill), []);
});
