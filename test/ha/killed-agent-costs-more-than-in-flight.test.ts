import { startPodTarget } from '@fairlead/testkit';
import t from 'tap';
import { startAgentProcess } from './agent-process.ts';
import { startServer } from './fleet.ts';
import { type Kill, startLoad, wasInFlight } from './load.ts';

t.test('agents that are killed take only their own streams along', async (t) => {
  const target = await startPodTarget();
  t.teardown(() => target.close());
  const server = await startServer(t, 'a');
  const processes = await Promise.all(
    ['one', 'two', 'three'].map((agentId) => startAgentProcess(t, server.agentPort, agentId)),
  );
  await server.log.until(() => server.agentIds().length === 3);
  const load = startLoad([server], [target]);
  const kills: Kill[] = [];
  for (const process of processes.slice(0, 2)) {
    await load.ended(30);
    const fromMs = performance.now();
    process.kill('SIGKILL');
    await server.log.line('agent disconnected', kills.length);
    kills.push({ fromMs, toMs: performance.now() });
    await load.ended(30);
  }
  const { sent, failures } = await load.stop();
  t.comment(`${sent} requests, ${failures.length} in flight through an agent that was killed`);
  t.strictSame(
    failures.filter((failure) => !kills.some((kill) => wasInFlight(failure, kill))),
    [],
  );
  t.strictSame(
    failures.filter(({ problem }) => problem.startsWith('50')),
    [],
    'dials were tried elsewhere',
  );
  t.strictSame(server.agentIds(), ['three']);
});
