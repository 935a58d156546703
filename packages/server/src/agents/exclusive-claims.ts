import type { Logger } from '@fairlead/runtime/process';
import { identityOf } from './agent-peer.ts';
import type { AgentClaims } from './auth/agent-authorization.ts';
import { claimTexts } from './auth/claim-constraints.ts';

/** A tunnel whose agent claims hosts and addresses. */
export interface Claimant {
  readonly agentId: string;
  readonly claims: AgentClaims;
  /** Whose certificate, or token, it is. */
  readonly peer: {
    readonly address: string;
    readonly commonName: string | undefined;
    readonly certificate: { readonly fingerprint: string } | undefined;
    readonly token?: { readonly identity: string } | undefined;
  };
}

/** A host or address that agents with different certificates claim. */
export interface ClaimConflict {
  readonly claim: string;
  readonly agents: readonly {
    readonly agentId: string;
    readonly address: string;
    readonly commonName: string | undefined;
  }[];
}

/**
 * Hosts and addresses are one agent's each. Two tunnels with one certificate are one agent (it has a
 * tunnel while the old one drains); two certificates are two agents, and one of them is wrong. So it is
 * with the nodes that tokens are bound to.
 */
export class ExclusiveClaims {
  readonly #logger: Logger;
  readonly #claimantsByClaim = new Map<string, Set<Claimant>>();
  readonly #claimsByClaimant = new Map<Claimant, readonly string[]>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Notes what a tunnel claims now, in the place of what it claimed before. */
  update(claimant: Claimant): void {
    this.remove(claimant);
    const { covered, uncovered } = claimant.claims;
    const claims = [...claimTexts(covered), ...claimTexts(uncovered)].filter(isExclusive);
    this.#claimsByClaimant.set(claimant, claims);
    for (const claim of claims) {
      const claimants = this.#claimantsByClaim.get(claim) ?? new Set();
      this.#claimantsByClaim.set(claim, claimants.add(claimant));
      const others = [...claimants].filter((other) => !isSameAgent(other, claimant));
      if (others.length > 0) this.#logger.warn(conflictOf(claim, claimants), 'claimed twice');
    }
  }

  /** Forgets a tunnel. */
  remove(claimant: Claimant): void {
    for (const claim of this.#claimsByClaimant.get(claimant) ?? []) {
      const claimants = this.#claimantsByClaim.get(claim);
      claimants?.delete(claimant);
      if (claimants?.size === 0) this.#claimantsByClaim.delete(claim);
    }
    this.#claimsByClaimant.delete(claimant);
  }

  /** All that is claimed twice at the moment. */
  conflicts(): ClaimConflict[] {
    const conflicts: ClaimConflict[] = [];
    for (const [claim, claimants] of this.#claimantsByClaim) {
      const [first, ...others] = claimants;
      if (others.some((other) => !isSameAgent(first!, other))) {
        conflicts.push(conflictOf(claim, claimants));
      }
    }
    return conflicts;
  }
}

const isExclusive = (claim: string): boolean => /^(?:host|ipv4|ipv6)=/.test(claim);

function isSameAgent(one: Claimant, other: Claimant): boolean {
  return one === other || identityOf(one.peer) === identityOf(other.peer);
}

function conflictOf(claim: string, claimants: ReadonlySet<Claimant>): ClaimConflict {
  return {
    claim,
    agents: [...claimants].map(({ agentId, peer: { address, commonName } }) => ({
      agentId,
      address,
      commonName,
    })),
  };
}
