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
  /** The processes of the workers; waits for those that are being replaced. */
  workers(): Promise<RunningWorker[]>;
  /** Asks for the status until it is as wanted. */
  until(what: string, wanted: (status: ServerStatus) => boolean): Promise<ServerStatus>;
  /** Waits until each worker is ready and holds tunnels to all these agents. */
  untilWhole(agentIds: readonly string[]): Promise<void>;
}

/** A server of two workers, in processes of their own; all serve when this resolves. */
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
  const until = async (what: string, wanted: (status: ServerStatus) => boolean) => {
    let now = await status();
    await eventually(what, async () => {
      now = await status();
      return wanted(now);
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
  const untilWhole = async (agentIds: readonly string[]) => {
    await until(`each worker has ${agentIds}`, (now) => isWhole(now, agentIds));
  };
  return { ...server, adminPort, status, workers, until, untilWhole };
}

const isRunning = (worker: WorkerStatus): worker is RunningWorker => worker.pid !== null;

/**
 * Does something that only this worker can serve: the other one is frozen meanwhile. Which of them takes a connection is up to
 * the system, which on a busy machine may give dozens in a row to one.
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

/** Whether each worker is ready and holds tunnels to all these agents. */
export function isWhole(
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
