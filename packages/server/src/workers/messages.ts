/** The messages between the primary and its workers. */
import type { AdminReply } from '@fairlead/runtime/admin';
import type { HostPort } from '@fairlead/runtime/net';
import type { ServerOptions } from '../options.ts';
import type { MetricObject } from './merged-metrics.ts';

/** What the primary gives a worker's server instead of ports of its own. */
export interface WorkerResources {
  /** File descriptors of bound sockets that the worker has inherited. */
  readonly sockets: {
    readonly frontEnd: number | undefined;
    readonly uds: { readonly fd: number; onStop(): void } | undefined;
    /** For agents that connect to this worker only. */
    readonly agent: number | undefined;
  };
  /** From which all workers derive their TLS session ticket keys. */
  readonly ticketSecret: Uint8Array;
  /** Where agents reach each worker; empty without --advertise-agent-address. */
  readonly workerAddresses: readonly HostPort[];
}

/** The first message to a worker. */
export interface WorkerStart extends Omit<WorkerResources, 'sockets'> {
  /** From 1. */
  readonly worker: number;
  /** Of the worker's server: its own ID, its own address for agents. */
  readonly options: ServerOptions;
  readonly sockets: SharedFds;
  /** Whether other workers serve clients, so that this one waits until it is ready. */
  readonly waitsUntilReady: boolean;
}

/** File descriptors of sockets that the primary has bound. */
export type SharedFds = Readonly<Record<keyof WorkerResources['sockets'], number | undefined>>;

/** Questions to a worker. */
export type WorkerQuestion =
  /** `isProbe`: whether the asker directs clients by the answer, see Readiness. */
  | { readonly what: 'readiness'; readonly isProbe: boolean }
  | { readonly what: 'metrics' }
  | { readonly what: 'report'; readonly path: string; readonly query: string };

/** The answer's type by the question. */
export interface WorkerAnswers {
  readonly readiness: {
    readonly whyNotReady: string | undefined;
    readonly isFrontEndOpen: boolean;
  };
  readonly metrics: readonly MetricObject[];
  readonly report: AdminReply;
}

export type ToWorker =
  | { readonly type: 'start'; readonly start: WorkerStart }
  | { readonly type: 'ping' }
  | { readonly type: 'ask'; readonly id: number; readonly question: WorkerQuestion }
  /** Carries an agent's TCP connection. */
  | { readonly type: 'agent'; readonly id: number }
  | { readonly type: 'openFrontEnd' }
  | { readonly type: 'reload' }
  /** `isWatched`: whether probes check readiness, and must see the change before new streams are refused. */
  | { readonly type: 'drain'; readonly isWatched: boolean };

export type FromWorker =
  | { readonly type: 'started' }
  | { readonly type: 'failed'; readonly message: string; readonly exitCode: 1 | 2 }
  | { readonly type: 'pong' }
  | { readonly type: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly type: 'agentTaken'; readonly id: number }
  | { readonly type: 'frontEndOpen' }
  /** The Unix domain socket no longer accepts clients. */
  | { readonly type: 'udsStopped' };
