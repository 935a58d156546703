import { EventEmitter, once } from 'node:events';
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
 * sends it one request; and so on until told to stop.
 *
 * @param servers may change meanwhile
 */
export function startLoad(
  servers: readonly LoadedServer[],
  targets: readonly Target[],
  clients = 6,
): Load {
  const events = new EventEmitter();
  let isStopped = false;
  let sent = 0;
  const failures: FailedRequest[] = [];
  const run = async () => {
    while (!isStopped) {
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
      events.emit('end');
    }
  };
  const ended = Promise.all(Array.from({ length: clients }, run));
  return {
    async ended(count) {
      for (let left = count; left > 0; left--) await once(events, 'end');
    },
    async stop() {
      isStopped = true;
      await ended;
      return { sent, failures };
    },
  };
}
