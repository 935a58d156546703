import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '@fairlead/testkit';
import type { TestServer } from '../support/fleet.ts';
import { isReady, request } from './requests.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
}

/** What a client needs to know of a server. */
export type LoadedServer = Pick<TestServer, 'id' | 'uds' | 'healthPort'>;

export interface FailedRequest {
  readonly serverId: string;
  readonly host: string;
  /** When it was sent and when it failed, by `performance.now()`. */
  readonly sentAtMs: number;
  readonly failedAtMs: number;
  readonly problem: string;
}

export interface LoadReport {
  readonly sent: number;
  readonly failures: readonly FailedRequest[];
}

/** The time in which a process was killed, by `performance.now()`. */
export interface Kill {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Between the requests of one client, so that the servers have time for other work. */
const pauseMs = 25;

/** Whether a request was under way when a process died. */
export function wasInFlight({ sentAtMs, failedAtMs }: FailedRequest, kill: Kill): boolean {
  return sentAtMs <= kill.toMs && failedAtMs >= kill.fromMs;
}

export interface Load {
  /** Waits for so many more requests to end. */
  ended(count: number): Promise<void>;
  /** Ends the load and reports. */
  stop(): Promise<LoadReport>;
}

/**
 * Clients that try nothing twice: each takes a server at random, asks whether it is ready, and if so
 * sends it one request, until they are told to stop.
 *
 * @param servers may change meanwhile
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
      const wanted = ended + count;
      await eventually(`${wanted} requests have ended`, () => ended >= wanted);
    },
    async stop() {
      isStopped = true;
      await clientsEnded;
      return { sent, failures };
    },
  };
}
