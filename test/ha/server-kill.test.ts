import { startPodTarget } from '@fairlead/testkit';
import t from 'tap';
import { startAgent, type TestAgent } from '../support/fleet.ts';
import { startBalancer } from './balancer.ts';
import { type Kill, startLoad, wasInFlight } from './load.ts';
import { untilReady } from './requests.ts';
import { type ServerProcess, startServerProcess } from './server-process.ts';

const serverFlags = ['--server-count=3'];

/** Waits until each agent has connected `count` times since it started. */
async function untilConnected(agents: readonly TestAgent[], count: number): Promise<void> {
  await Promise.all(agents.map(({ log }) => log.lineAfter(count - 1, 'connected')));
}

t.test('only requests in flight to a killed server fail', async (t) => {
  const target = await startPodTarget();
  t.teardown(() => target.close());
  const servers: ServerProcess[] = await Promise.all(
    ['a', 'b', 'c'].map((id) => startServerProcess(t, id, serverFlags)),
  );
  const balancer = await startBalancer(
    t,
    servers.map(({ agentPort }) => agentPort),
  );
  const agents = await Promise.all(
    ['one', 'two', 'three'].map((agentId) => startAgent(t, balancer.port, { agentId })),
  );
  await untilConnected(agents, 3);
  for (const server of servers) await untilReady(server);

  const load = startLoad(servers, [target]);
  const kills = new Map<string, Kill>();
  for (const [at, server] of [...servers.entries()]) {
    await load.ended(20);
    const fromMs = performance.now();
    server.process.kill('SIGKILL');
    await server.process.exit;
    kills.set(server.id, { fromMs, toMs: performance.now() });
    balancer.ports.delete(server.agentPort);
    const successor = await startServerProcess(t, `${server.id}-next`, serverFlags);
    balancer.ports.add(successor.agentPort);
    await untilReady(successor);
    servers[at] = successor;
    t.comment(`replaced and ready after ${Math.round(performance.now() - fromMs)} ms`);
    await untilConnected(agents, 4 + at);
    await load.ended(20);
  }
  const { sent, failures } = await load.stop();
  t.comment(`${sent} requests, ${failures.length} failed`);
  t.ok(sent > 50);
  const unexpected = failures.filter((failure) => {
    const kill = kills.get(failure.serverId);
    return !kill || !wasInFlight(failure, kill);
  });
  t.strictSame(unexpected, []);
});
