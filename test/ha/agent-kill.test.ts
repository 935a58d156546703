import { startPodTarget } from '@fairlead/testkit';
import t from 'tap';
import { startAgent, startServer } from '../support/fleet.ts';
import { startAgentProcess } from './agent-process.ts';
import { type Kill, startLoad, wasInFlight } from './load.ts';

t.test('only requests in flight through a killed agent fail', async (t) => {
  const target = await startPodTarget();
  t.teardown(() => target.close());
  const server = await startServer(t, { serverId: 'a' });
  const processes = await Promise.all(
    ['one', 'two'].map((agentId) => startAgentProcess(t, server.agentPort, agentId)),
  );
  await startAgent(t, server, { agentId: 'three' });
  await server.untilAgents(3);
  const load = startLoad([server], [target]);
  const kills: Kill[] = [];
  for (const process of processes) {
    await load.ended(30);
    const fromMs = performance.now();
    process.kill('SIGKILL');
    await server.log.lineAfter(kills.length, 'agent disconnected');
    kills.push({ fromMs, toMs: performance.now() });
    await load.ended(30);
  }
  const { sent, failures } = await load.stop();
  t.comment(`${sent} requests, ${failures.length} failed`);
  t.strictSame(
    failures.filter((failure) => !kills.some((kill) => wasInFlight(failure, kill))),
    [],
  );
  t.strictSame(
    failures.filter(({ problem }) => problem.startsWith('50')),
    [],
    'failed dials are retried through another agent',
  );
  t.strictSame(server.agentIds(), ['three']);
});
