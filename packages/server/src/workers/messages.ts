/** What the primary and its workers say to each other. */
import type { AdminReply } from '@fairlead/runtime/admin';
import type { HostPort } from '@fairlead/runtime/net';
import type { ServerOptions } from '../options.ts';
import type { MetricObject } from './merged-metrics.ts';

/** What a worker has in the place of ports of its own. */
export interface WorkerPlace {
  /** Bound sockets of the primary, as open in this process; undefined where there is none. */
  readonly sockets: {
    readonly frontEnd: number | undefined;
    readonly uds: { readonly fd: number; onStop(): void } | undefined;
    /** The address at which agents reach this worker and no other. */
    readonly agent: number | undefined;
  };
  /** What all workers make their TLS ticket keys of. */
  readonly ticketSecret: Uint8Array;
  /** Addresses for agents of all workers. */
  readonly fellows: readonly HostPort[];
}

/** The first message to a worker. */
export interface WorkerStart {
  /** From 1. */
  readonly worker: number;
  /** Those of this server: its own ID, its own address for agents. */
  readonly options: ServerOptions;
  /** File descriptors that the worker was born with. */
  readonly sockets: Readonly<Record<SharedSocketName, number | undefined>>;
  readonly ticketSecret: Uint8Array;
  readonly fellows: readonly HostPort[];
  /** Whether others serve clients, so that this one had better wait until it is ready. */
  readonly holdsBack: boolean;
}

export type SharedSocketName = 'frontEnd' | 'uds' | 'agent';

interface WorkerReadiness {
  readonly whyNotReady: string | undefined;
  /** Whether clients can come to this worker. */
  readonly isFrontEndOpen: boolean;
}

/** What a worker can be asked for. */
export type WorkerQuestion =
  /** `decides`: whether somebody asks who will stay away from a server that is not ready. */
  | { readonly what: 'readiness'; readonly decides: boolean }
  | { readonly what: 'metrics' }
  | { readonly what: 'report'; readonly path: string; readonly query: string };

/** The answer's type by the question. */
export interface WorkerAnswers {
  readonly readiness: WorkerReadiness;
  readonly metrics: readonly MetricObject[];
  readonly report: AdminReply;
}

export type ToWorker =
  | { readonly type: 'start'; readonly start: WorkerStart }
  | { readonly type: 'ping' }
  | { readonly type: 'ask'; readonly id: number; readonly question: WorkerQuestion }
  /** With it comes a connection of an agent. */
  | { readonly type: 'agent'; readonly id: number }
  | { readonly type: 'openFrontEnd' }
  | { readonly type: 'reload' }
  /** `isWatched`: whether somebody asks for readiness, and is to notice before new streams are refused. */
  | { readonly type: 'drain'; readonly isWatched: boolean };

export type FromWorker =
  | { readonly type: 'started' }
  | { readonly type: 'failed'; readonly message: string; readonly exitCode: 1 | 2 }
  | { readonly type: 'pong' }
  | { readonly type: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly type: 'agentTaken'; readonly id: number }
  | { readonly type: 'frontEndOpen' }
  /** No client is accepted on the Unix domain socket any more. */
  | { readonly type: 'udsStopped' };
