import type { ServerStatus, WorkerStatus } from '@fairlead/server';
import { eventually } from '@fairlead/testkit';
import type { Test } from 'tap';
import { loopback } from '../support/fleet.ts';
import { freeze } from './process-state.ts';
import { type ServerProcess, startServerProcess } from './server-process.ts';

export type RunningWorker = WorkerStatus & { readonly pid: number };

export interface WorkersProcess extends ServerProcess {
  readonly adminPort: number;
  status(): Promise<ServerStatus>;
  /** The workers' processes. Waits for workers that are being replaced. */
  workers(): Promise<RunningWorker[]>;
  /** Polls the status until it satisfies the condition. */
  until(what: string, condition: (status: ServerStatus) => boolean): Promise<ServerStatus>;
  /** Waits until each worker is ready and has a tunnel to each of these agents. */
  untilAllConnected(agentIds: readonly string[]): Promise<void>;
}

/** Starts a server with two worker processes. Resolves when both serve. */
export async function startWorkersProcess(
  t: Test,
  id: string,
  flags: readonly string[] = [],
): Promise<WorkersProcess> {
  const server = await startServerProcess(t, id, [
    '--workers=2',
    '--agents-settle-time=0s',
    ...flags,
  ]);
  const { port: adminPort } = await server.process.waitForListener('admin');
  const status = async () => {
    const reply = await fetch(`http://${loopback}:${adminPort}/api/v1/status`);
    return (await reply.json()) as ServerStatus;
  };
  const until = async (what: string, condition: (status: ServerStatus) => boolean) => {
    let now = await status();
    await eventually(what, async () => {
      now = await status();
      return condition(now);
    });
    return now;
  };
  const workers = async () => {
    const { workers: all = [] } = await until(
      'each worker has a process',
      ({ workers: now }) => !!now?.every(isRunning),
    );
    return all.filter(isRunning);
  };
  const untilAllConnected = async (agentIds: readonly string[]) => {
    await until(`each worker has ${agentIds}`, (now) => isAllConnected(now, agentIds));
  };
  return { ...server, adminPort, status, workers, until, untilAllConnected };
}

const isRunning = (worker: WorkerStatus): worker is RunningWorker => worker.pid !== null;

/**
 * Runs an action while all other workers are frozen, so that only this worker can serve it. Otherwise the
 * kernel chooses, and on a busy machine it can give dozens of connections in a row to one worker.
 */
export async function withWorkerAlone<T>(
  { workers }: WorkersProcess,
  worker: number,
  action: () => Promise<T>,
): Promise<T> {
  const others = (await workers()).filter((other) => other.worker !== worker);
  try {
    await Promise.all(others.map(({ pid }) => freeze(pid)));
    return await action();
  } finally {
    for (const { pid } of others) process.kill(pid, 'SIGCONT');
  }
}

/** Whether each worker is ready and has a tunnel to each of these agents. */
export function isAllConnected(
  { workers = [], agents }: ServerStatus,
  agentIds: readonly string[],
): boolean {
  return workers.every(
    ({ worker, state }) =>
      state === 'ready' &&
      agentIds.every((id) =>
        agents.some((agent) => agent.worker === worker && agent.agentId === id),
      ),
  );
}
