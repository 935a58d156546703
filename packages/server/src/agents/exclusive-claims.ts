import { isIP } from 'node:net';
import type { BackendPool } from '../routing/backend-pool.ts';
import { identityOf } from './agent-peer.ts';
import type { Backend } from './backend.ts';
import type { Backends } from './backends.ts';

/** A host, address or agent ID that agents with different identities claim. */
export interface ClaimConflict {
  readonly claim: string;
  readonly agents: readonly {
    readonly agentId: string;
    readonly address: string;
    readonly commonName: string | undefined;
  }[];
}

/**
 * Hosts, addresses and agent IDs that two agents claim. Two backends with one certificate (or with tokens of one
 * node) are one agent, which opens a second tunnel while the first drains. Otherwise one of the two is wrong.
 */
export function claimConflicts({ hosts, ids }: Backends): ClaimConflict[] {
  return [
    ...[...hosts].flatMap(([name, pool]) => conflictOf(hostClaim(name), pool) ?? []),
    ...[...ids].flatMap(([id, pool]) => conflictOf(idClaim(id), pool, placeOf) ?? []),
  ];
}

/** The same among the claims of one backend. */
export function conflictsOf(
  { agentId, claims }: Backend,
  { hosts, ids }: Backends,
): ClaimConflict[] {
  const { covered, uncovered } = claims;
  const names = [covered, uncovered].flatMap((each) => [...each.hosts, ...each.addresses]);
  return [
    ...names.map((name) => conflictOf(hostClaim(name), hosts.get(name))),
    conflictOf(idClaim(agentId), ids.get(agentId), placeOf),
  ].filter((conflict) => conflict !== undefined);
}

const idClaim = (agentId: string): string => `agent-id=${agentId}`;

const hostClaim = (name: string): string =>
  `${isIP(name) === 0 ? 'host' : `ipv${isIP(name)}`}=${name}`;

/** Agents on two machines can share a certificate by mistake, together with their ID. */
const placeOf = ({ peer }: Backend): string =>
  `${identityOf(peer)} ${peer.address.slice(0, peer.address.lastIndexOf(':'))}`;

/** @param keyOf equal for two backends of one agent */
function conflictOf(
  claim: string,
  pool: BackendPool | undefined,
  keyOf = ({ peer }: Backend) => identityOf(peer),
): ClaimConflict | undefined {
  // Most names have one backend.
  if (pool === undefined || pool.size < 2) return undefined;
  const [first, ...others] = pool.all();
  if (!others.some((other) => keyOf(other) !== keyOf(first!))) return undefined;
  return {
    claim,
    agents: [first!, ...others].map(({ agentId, peer: { address, commonName } }) => ({
      agentId,
      address,
      commonName,
    })),
  };
}
