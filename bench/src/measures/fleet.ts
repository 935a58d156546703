import { setTimeout as sleep } from 'node:timers/promises';
import type { FleetOrder, FleetState, Handshakes } from '../agents/fleet-order.ts';
import { readUsage } from '../process/process-group.ts';
import { Worker } from '../process/worker.ts';
import type { FleetServer } from '../systems/system.ts';
import type { Measure, Rig, Values } from './measure.ts';

const entry = new URL('../agents/main.js', import.meta.url);
const agentCount = 1000;
const processCount = 4;
const reachTimeoutMs = 120_000;
const settleMs = 3_000;
const kib = 1024;

/** Many agents on one server, and a restart of that server. */
export const fleet: Measure = {
  name: 'agents-1000',
  title: `${agentCount.toLocaleString('en')} agents on one server`,
  about:
    `${agentCount} agents in ${processCount} processes connect to one server over TLS. Then the server is killed ` +
    'and started again on the same port. The first time is from the start of the agents until all are ready, ' +
    'the second from the moment when the new server listens. Memory is the growth of resident memory from ' +
    'before the first agent until 3 s after all are ready. Each agent has its health and admin ports. ' +
    '"resumed" is the share of resumed TLS handshakes after the restart.',
  targets: ['echo'],
  columns: [
    { key: 'ready', title: 'all ready', unit: 's', better: 'lower' },
    { key: 'server-memory', title: 'server', unit: 'KiB/agent', better: 'lower' },
    { key: 'agent-memory', title: 'agents', unit: 'KiB/agent', better: 'lower' },
    { key: 'again', title: 'all ready after restart', unit: 's', better: 'lower' },
    { key: 'resumed', title: 'resumed', unit: '%', better: 'higher' },
  ],
  charted: ['ready', 'again'],
  // Each round leaves a restarted server.
  isFresh: true,
  excludes: ({ hasFleet }) => (hasFleet ? undefined : 'its agents cannot share a process'),
  async run(rig): Promise<Values> {
    const server = rig.fleetServer()!;
    const workers: Worker[] = [];
    try {
      for (let i = 0; i < processCount; i++) {
        workers.push(await Worker.start(entry, { execPath: rig.nodePath }));
      }
      return await runFleet(rig, server, workers);
    } finally {
      await Promise.all(workers.map((worker) => worker.close()));
    }
  },
};

async function runFleet(
  rig: Rig,
  server: FleetServer,
  workers: readonly Worker[],
): Promise<Values> {
  const { root, port: serverPort, caFile, certFile, keyFile } = server;
  const orders = workers.map(
    (_, i): FleetOrder => ({
      ...{ root, serverPort, caFile, certFile, keyFile },
      name: `fleet-${i}`,
      agents: agentCount / processCount,
    }),
  );
  await Promise.all(workers.map((worker, i) => worker.call('load', orders[i])));
  const serverBefore = serverBytes(rig);
  const agentsBefore = agentBytes(workers);

  const startMs = performance.now();
  await Promise.all(workers.map((worker, i) => worker.call('start', orders[i], reachTimeoutMs)));
  await reach(workers, 'ready');
  const readyMs = performance.now() - startMs;
  await sleep(settleMs);
  const serverMemory = serverBytes(rig) - serverBefore;
  const agentMemory = agentBytes(workers) - agentsBefore;
  await takeHandshakes(workers);

  await server.stop();
  await reach(workers, 'lost');
  await server.start();
  const restartMs = performance.now();
  await reach(workers, 'ready');
  const againMs = performance.now() - restartMs;
  const { full, resumed } = await takeHandshakes(workers);
  return {
    ready: readyMs / 1000,
    'server-memory': serverMemory / kib / agentCount,
    'agent-memory': agentMemory / kib / agentCount,
    again: againMs / 1000,
    resumed: (resumed / (full + resumed)) * 100,
  };
}

async function reach(workers: readonly Worker[], state: FleetState): Promise<void> {
  await Promise.all(workers.map((worker) => worker.call('reach', state, reachTimeoutMs)));
}

async function takeHandshakes(workers: readonly Worker[]): Promise<Handshakes> {
  const all = await Promise.all(workers.map((worker) => worker.call<Handshakes>('takeHandshakes')));
  return {
    full: all.reduce((sum, { full }) => sum + full, 0),
    resumed: all.reduce((sum, { resumed }) => sum + resumed, 0),
  };
}

function serverBytes(rig: Rig): number {
  return rig.memory().get('server')?.rssBytes ?? 0;
}

function agentBytes(workers: readonly Worker[]): number {
  const processes = workers.map(({ pid }) => ({ role: 'agent', pid }) as const);
  return readUsage(processes).get('agent')?.rssBytes ?? 0;
}
