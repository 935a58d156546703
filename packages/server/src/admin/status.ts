import { type AdminRoutes, jsonReply } from '@fairlead/runtime/admin';
import { claimTexts } from '../agents/auth/claim-constraints.ts';
import type { TunnelBackend } from '../agents/backend.ts';
import type { ClaimConflict, ExclusiveClaims } from '../agents/exclusive-claims.ts';
import type { GrpcBackend } from '../agents/konnectivity-connection.ts';
import type { FrontEnd } from '../front-end/front-end.ts';
import type { ServerOptions } from '../options.ts';
import { version } from '../version.ts';

/** The answer of `/api/v1/status`. */
export interface ServerStatus {
  readonly version: string;
  readonly serverId: string;
  /** Dialling or open, of all clients. */
  readonly streams: number;
  readonly agentAuthorization: ServerOptions['agentAuthorization'];
  /** Hosts and addresses that more than one agent claims. */
  readonly conflicts: readonly ClaimConflict[];
  /** With `--workers`: the processes of this server. */
  readonly workers?: readonly WorkerStatus[];
  /** One for each tunnel; with `--workers`, an agent has one to each. */
  readonly agents: readonly AgentStatus[];
}

export interface WorkerStatus {
  /** From 1. */
  readonly worker: number;
  /** Its name towards agents. */
  readonly serverId: string;
  /** Null while it waits for its replacement. */
  readonly pid: number | null;
  /** ISO 8601; null while it waits for its replacement. */
  readonly startedAt: string | null;
  /** How often it was replaced. */
  readonly replacements: number;
  readonly state: 'starting' | 'no answer' | 'not ready' | 'ready' | 'ended';
  /** Why it is not ready. */
  readonly reason?: string;
}

export interface AgentStatus {
  /** With `--workers`: whose tunnel it is. */
  readonly worker?: number;
  readonly agentId: string;
  readonly address: string;
  readonly commonName: string | null;
  /** Of its token: the service account, and the node that it is bound to. */
  readonly account: string | null;
  readonly node: string | null;
  /** Claims as the agent writes them (`host=node-1`): those that its certificate or token covers, and others. */
  readonly covered: readonly string[];
  readonly uncovered: readonly string[];
  readonly transport: string;
  readonly isDraining: boolean;
  /** Leaves a PING unanswered. */
  readonly isSilent: boolean;
  readonly streams: number;
  /** Null until the first round trip is known. */
  readonly minRttMs: number | null;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** `/api/v1/status`: what the server is doing, as JSON. */
export function statusRoutes(
  options: ServerOptions,
  backends: () => readonly (TunnelBackend | GrpcBackend)[],
  exclusiveClaims: ExclusiveClaims,
  frontEnd: FrontEnd,
): AdminRoutes {
  const status = (): ServerStatus => ({
    version,
    serverId: options.serverId,
    streams: frontEnd.activeStreams,
    agentAuthorization: options.agentAuthorization,
    conflicts: exclusiveClaims.conflicts(),
    agents: backends().map(({ agentId, peer, session, isDraining, isSilent, claims }) => ({
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
      streams: session.streamCount,
      minRttMs: Number.isFinite(session.minRttMs) ? session.minRttMs : null,
      receivedBytes: session.receivedBytes,
      sentBytes: session.sentBytes,
    })),
  });
  return { '/api/v1/status': () => jsonReply(200, status()) };
}
