import type { Logger } from '@fairlead/runtime/process';
import { claimTexts } from './agent-identifiers.ts';
import { identityOf } from './agent-peer.ts';
import type { Backend } from './backend.ts';

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
 * Finds hosts and addresses that two agents claim. Two backends with one certificate (or with tokens of one
 * node) are one agent, which opens a second tunnel while the first drains. Otherwise one of the two is wrong.
 */
export class ExclusiveClaims {
  readonly #logger: Logger;
  readonly #backendsByClaim = new Map<string, Set<Backend>>();
  readonly #claimsByBackend = new Map<Backend, readonly string[]>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Replaces the recorded claims of a backend by its present ones. */
  update(backend: Backend): void {
    this.remove(backend);
    const { covered, uncovered } = backend.claims;
    const claims = [...claimTexts(covered), ...claimTexts(uncovered)].filter((claim) =>
      /^(?:host|ipv4|ipv6)=/.test(claim),
    );
    this.#claimsByBackend.set(backend, claims);
    for (const claim of claims) {
      const backends = this.#backendsByClaim.get(claim) ?? new Set();
      this.#backendsByClaim.set(claim, backends.add(backend));
      if (hasConflict(backends)) this.#logger.warn(conflictOf(claim, backends), 'claimed twice');
    }
  }

  remove(backend: Backend): void {
    for (const claim of this.#claimsByBackend.get(backend) ?? []) {
      const backends = this.#backendsByClaim.get(claim);
      backends?.delete(backend);
      if (backends?.size === 0) this.#backendsByClaim.delete(claim);
    }
    this.#claimsByBackend.delete(backend);
  }

  conflicts(): ClaimConflict[] {
    return [...this.#backendsByClaim]
      .filter(([, backends]) => hasConflict(backends))
      .map(([claim, backends]) => conflictOf(claim, backends));
  }
}

function hasConflict(backends: ReadonlySet<Backend>): boolean {
  const [first, ...others] = backends;
  return others.some((other) => identityOf(other.peer) !== identityOf(first!.peer));
}

function conflictOf(claim: string, backends: ReadonlySet<Backend>): ClaimConflict {
  return {
    claim,
    agents: [...backends].map(({ agentId, peer: { address, commonName } }) => ({
      agentId,
      address,
      commonName,
    })),
  };
}
