import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '@fairlead/testkit';
import type { TestServer } from '../support/fleet.ts';
import { isReady, request } from './requests.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
}

/** What a client needs to know about a server. */
export type LoadedServer = Pick<TestServer, 'id' | 'uds' | 'healthPort'>;

export interface FailedRequest {
  readonly serverId: string;
  readonly host: string;
  /** By `performance.now()`. */
  readonly sentAtMs: number;
  readonly failedAtMs: number;
  readonly problem: string;
}

export interface LoadReport {
  readonly sent: number;
  readonly failures: readonly FailedRequest[];
}

/** The time span in which a process was killed or frozen, by `performance.now()`. */
export interface Kill {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Pause between two requests of a client, so that the servers have time for other work. */
const pauseMs = 25;

/** Whether a request was in flight when a process was killed. */
export function wasInFlight({ sentAtMs, failedAtMs }: FailedRequest, kill: Kill): boolean {
  return sentAtMs <= kill.toMs && failedAtMs >= kill.fromMs;
}

export interface Load {
  /** Waits until `count` more requests have ended. */
  ended(count: number): Promise<void>;
  /** Stops the clients and waits for their last requests. */
  stop(): Promise<LoadReport>;
}

/**
 * Starts clients that do not retry. Each one picks a server at random, and sends it one request if it is
 * ready. Then it picks again, until `stop`.
 *
 * @param servers can change while the load runs
 */
export function startLoad(
  servers: readonly LoadedServer[],
  targets: readonly Target[],
  clients = 6,
): Load {
  let isStopped = false;
  let sent = 0;
  let ended = 0;
  const failures: FailedRequest[] = [];
  const run = async () => {
    for (; !isStopped; await pause(pauseMs)) {
      const server = servers[Math.floor(Math.random() * servers.length)]!;
      const target = targets[sent % targets.length]!;
      if (!(await isReady(server))) continue;
      sent++;
      const sentAtMs = performance.now();
      const problem = await request(server, target);
      if (problem) {
        const failedAtMs = performance.now();
        failures.push({ serverId: server.id, host: target.host, sentAtMs, failedAtMs, problem });
      }
      ended++;
    }
  };
  const clientsEnded = Promise.all(Array.from({ length: clients }, run));
  return {
    async ended(count) {
      const goal = ended + count;
      await eventually(`${goal} requests have ended`, () => ended >= goal);
    },
    async stop() {
      isStopped = true;
      await clientsEnded;
      return { sent, failures };
    },
  };
}
