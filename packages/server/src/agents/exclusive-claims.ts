import { isIP } from 'node:net';
import type { BackendPool } from '../routing/backend-pool.ts';
import { identityOf } from './agent-peer.ts';
import type { Backend } from './backend.ts';
import type { Backends } from './backends.ts';

/** A host or address that agents with different identities claim. */
export interface ClaimConflict {
  readonly claim: string;
  readonly agents: readonly {
    readonly agentId: string;
    readonly address: string;
    readonly commonName: string | undefined;
  }[];
}

/**
 * Hosts and addresses that two agents claim. Two backends with one certificate (or with tokens of one
 * node) are one agent, which opens a second tunnel while the first drains. Otherwise one of the two is wrong.
 */
export function claimConflicts({ hosts }: Backends): ClaimConflict[] {
  return [...hosts].flatMap(([name, pool]) => conflictOf(name, pool) ?? []);
}

/** The same among the claims of one backend. */
export function conflictsOf({ claims }: Backend, { hosts }: Backends): ClaimConflict[] {
  const { covered, uncovered } = claims;
  const names = [covered, uncovered].flatMap((each) => [...each.hosts, ...each.addresses]);
  return names.flatMap((name) => conflictOf(name, hosts.get(name)) ?? []);
}

function conflictOf(name: string, pool: BackendPool | undefined): ClaimConflict | undefined {
  // Most names have one backend.
  if (pool === undefined || pool.size < 2) return undefined;
  const [first, ...others] = pool.all();
  if (!others.some((other) => identityOf(other.peer) !== identityOf(first!.peer))) return undefined;
  const kind = isIP(name) === 0 ? 'host' : `ipv${isIP(name)}`;
  return {
    claim: `${kind}=${name}`,
    agents: [first!, ...others].map(({ agentId, peer: { address, commonName } }) => ({
      agentId,
      address,
      commonName,
    })),
  };
}
