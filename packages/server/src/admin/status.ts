import { type AdminRoutes, jsonReply } from '@fairlead/runtime/admin';
import { release } from '@fairlead/runtime/process';
import type { AgentConnection } from '../agents/agent-connection.ts';
import { claimTexts } from '../agents/agent-identifiers.ts';
import type { Backends } from '../agents/backends.ts';
import { type ClaimConflict, claimConflicts } from '../agents/exclusive-claims.ts';
import type { FrontEnd } from '../front-end/front-end.ts';
import type { ServerOptions } from '../options.ts';
import type { AgentRefusal, RecentRefusals } from './recent-refusals.ts';

/** The response of `/api/v1/status`. */
export interface ServerStatus {
  readonly version: string;
  readonly serverId: string;
  /** Since its start. */
  readonly uptimeMs: number;
  /** Whether the server shuts down. */
  readonly isDraining: boolean;
  /** Dialing or open, of all clients. */
  readonly streams: number;
  readonly agentAuthorization: ServerOptions['agentAuthorization'];
  /** Hosts and addresses that more than one agent claims. */
  readonly conflicts: readonly ClaimConflict[];
  /** Agents that were refused lately, the latest first. */
  readonly refusals: readonly AgentRefusal[];
  /** Only with `--workers`: the processes of this server. */
  readonly workers?: readonly WorkerStatus[];
  /** One per tunnel; with `--workers`, an agent has a tunnel to each worker. */
  readonly agents: readonly AgentStatus[];
}

export interface WorkerStatus {
  /** From 1. */
  readonly worker: number;
  /** The worker's name as a server, for agents. */
  readonly serverId: string;
  /** Null until the process is replaced. */
  readonly pid: number | null;
  /** ISO 8601; null until the process is replaced. */
  readonly startedAt: string | null;
  readonly replacements: number;
  readonly state: 'starting' | 'no answer' | 'not ready' | 'ready' | 'ended';
  /** Why the worker is not ready. */
  readonly reason?: string;
}

export interface AgentStatus {
  /** Only with `--workers`: the worker at the other end of the tunnel. */
  readonly worker?: number;
  readonly agentId: string;
  readonly address: string;
  readonly commonName: string | null;
  /** From the agent's token: its service account and node. */
  readonly account: string | null;
  readonly node: string | null;
  /** Claims as the agent writes them (`host=node-1`), by whether its certificate or token covers them. */
  readonly covered: readonly string[];
  readonly uncovered: readonly string[];
  readonly transport: string;
  readonly isDraining: boolean;
  /** Whether a PING is unanswered. */
  readonly isSilent: boolean;
  /** Whether its last dials failed by its own fault. */
  readonly isFailing: boolean;
  readonly streams: number;
  /** Null until the first round trip. */
  readonly minRttMs: number | null;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** `/api/v1/status`: the present state of the server, as JSON. */
export function statusRoutes(
  options: ServerOptions,
  backends: Backends,
  connections: () => readonly AgentConnection[],
  frontEnd: FrontEnd,
  refusals: RecentRefusals,
  isDraining: () => boolean,
): AdminRoutes {
  const startedAtMs = performance.now();
  const status = (): ServerStatus => ({
    version: release.version,
    serverId: options.serverId,
    uptimeMs: Math.round(performance.now() - startedAtMs),
    isDraining: isDraining(),
    streams: frontEnd.activeStreams,
    agentAuthorization: options.agentAuthorization,
    conflicts: claimConflicts(backends),
    refusals: refusals.all,
    agents: connections().map(
      ({ agentId, peer, session, isDraining, isSilent, isFailing, claims }) => ({
        agentId,
        address: peer.address,
        commonName: peer.commonName ?? null,
        account: peer.token?.username ?? null,
        node: peer.token?.nodeName ?? null,
        covered: claimTexts(claims.covered),
        uncovered: claimTexts(claims.uncovered),
        transport: session.transport.kind,
        isDraining,
        isSilent,
        isFailing,
        streams: session.streamCount,
        minRttMs: Number.isFinite(session.minRttMs) ? session.minRttMs : null,
        receivedBytes: session.receivedBytes,
        sentBytes: session.sentBytes,
      }),
    ),
  });
  return { '/api/v1/status': () => jsonReply(200, status()) };
}
