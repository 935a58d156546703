import { TunnelError } from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime/process';
import { type AgentIdentifiers, parseAgentIdentifiers } from '../agent-identifiers.ts';
import { type AgentPeer, nameOf } from '../agent-peer.ts';
import {
  type ClaimConstraints,
  claimTexts,
  noConstraints,
  splitClaims,
  withNode,
} from './claim-constraints.ts';

/** `--agent-authorization`. */
type AuthorizationMode = 'off' | 'audit' | 'enforce';

/** What an agent serves, as far as it may say so. */
export interface AgentClaims {
  /** Backed by the agent's certificate or token; all claims where authorization is off. */
  readonly covered: AgentIdentifiers;
  /** Taken on the agent's word alone (`audit`). */
  readonly uncovered: AgentIdentifiers;
}

const noClaims: AgentIdentifiers = parseAgentIdentifiers('');

/** Before an agent has claimed anything. */
export const emptyClaims: AgentClaims = { covered: noClaims, uncovered: noClaims };

export interface AgentAuthorizerOptions {
  readonly mode: AuthorizationMode;
  readonly logger: Logger;
  /** Told of each claim that no credential covers, and whether its agent was refused for it. */
  onUncovered(kind: ClaimKind, refused: boolean): void;
}

/** The key of an agent identifier. */
export type ClaimKind = 'host' | 'ipv4' | 'ipv6' | 'cidr' | 'default-route';

/** No more claims than these are named in a log line or an error. */
const maxNamed = 8;

/** Decides what an agent may claim, whatever protocol it speaks. */
export class AgentAuthorizer {
  readonly #options: AgentAuthorizerOptions;

  constructor(options: AgentAuthorizerOptions) {
    this.#options = options;
  }

  /**
   * Judges an agent's identifiers, at its start and whenever it repeats them.
   * @throws TunnelError `unauthorized` that names the claims, with mode `enforce`
   */
  authorize(agentId: string, identifiers: string | undefined, peer: AgentPeer): AgentClaims {
    const { mode, logger, onUncovered } = this.#options;
    const claims = parseAgentIdentifiers(identifiers ?? '');
    const who = {
      agent: agentId,
      address: peer.address,
      commonName: peer.commonName,
      account: peer.token?.username,
      node: peer.token?.nodeName,
    };
    const credential = peer.certificate ? 'certificate' : 'token';
    if (claims.warnings.length > 0) {
      const warnings = claims.warnings.slice(0, maxNamed);
      logger.warn({ ...who, warnings }, 'agent identifiers that cannot be read never match');
    }
    if (mode === 'off') return { covered: claims, uncovered: noClaims };
    const split = splitClaims(claims, constraintsOfPeer(peer));
    const uncovered = claimTexts(split.uncovered);
    if (uncovered.length === 0) return split;
    for (const claim of uncovered) {
      onUncovered(claim.slice(0, claim.indexOf('=')) as ClaimKind, mode === 'enforce');
    }
    const named = uncovered.slice(0, maxNamed);
    if (uncovered.length > maxNamed) named.push(`${uncovered.length - maxNamed} more`);
    if (mode === 'audit') {
      logger.warn({ ...who, claims: named }, `claims that the ${credential} does not cover`);
      return split;
    }
    logger.warn({ ...who, claims: named }, `agent refused: its ${credential} does not cover it`);
    throw new TunnelError(
      'unauthorized',
      `the ${credential} of ${nameOf(peer) ?? 'the agent'} does not cover ${named.join(', ')}`,
    );
  }
}

function constraintsOfPeer({ certificate, token }: AgentPeer): ClaimConstraints {
  const constraints = certificate?.constraints ?? noConstraints;
  return token?.nodeName === undefined ? constraints : withNode(constraints, token.nodeName);
}
