import { TunnelError } from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime/process';
import type { ServerMetrics } from '../../admin/metrics.ts';
import type { RecentRefusals } from '../../admin/recent-refusals.ts';
import type { ServerOptions } from '../../options.ts';
import { type AgentClaims, claimTexts, parseAgentIdentifiers } from '../agent-identifiers.ts';
import { type AgentPeer, nameOf, peerFields } from '../agent-peer.ts';
import { noConstraints, splitClaims, withNode } from './claim-constraints.ts';

/** The key of an agent identifier. */
export type ClaimKind = 'host' | 'ipv4' | 'ipv6' | 'cidr' | 'default-route';

/** Claims that one log line or one error names at most. */
const maxNamed = 8;

/** Decides which claims of an agent are accepted, when it connects and when its claims change. */
export type AuthorizeAgent = ReturnType<typeof createAuthorizer>;

export function createAuthorizer(
  mode: ServerOptions['agentAuthorization'],
  logger: Logger,
  metrics: Pick<ServerMetrics, 'onUncoveredClaim' | 'onAgentRefused'>,
  refusals?: RecentRefusals,
) {
  /**
   * @param identifiers as the agent sent them, see parseAgentIdentifiers
   * @throws TunnelError `unauthorized` that names the claims, with mode `enforce`
   */
  return (agentId: string, identifiers: string | undefined, peer: AgentPeer): AgentClaims => {
    const claims = parseAgentIdentifiers(identifiers ?? '');
    const agent = { agent: agentId, ...peerFields(peer) };
    if (claims.warnings.length > 0) {
      const warnings = claims.warnings.slice(0, maxNamed);
      logger.warn({ ...agent, warnings }, 'agent identifiers that cannot be read never match');
    }
    if (mode === 'off') return { covered: claims, uncovered: parseAgentIdentifiers('') };
    const constraints = peer.certificate?.constraints ?? noConstraints;
    const split = splitClaims(claims, withNode(constraints, peer.token?.nodeName));
    const uncovered = claimTexts(split.uncovered);
    if (uncovered.length === 0) return split;
    for (const claim of uncovered) {
      metrics.onUncoveredClaim(claim.slice(0, claim.indexOf('=')) as ClaimKind, mode === 'enforce');
    }
    const named = uncovered.slice(0, maxNamed);
    if (uncovered.length > maxNamed) named.push(`${uncovered.length - maxNamed} more`);
    const fields = { ...agent, claims: named };
    const credential = peer.certificate ? 'certificate' : 'token';
    if (mode === 'audit') {
      logger.warn(fields, `claims that the ${credential} does not cover`);
      return split;
    }
    logger.warn(fields, `agent refused: its ${credential} does not cover it`);
    metrics.onAgentRefused('unauthorized');
    const reason = `the ${credential} of ${nameOf(peer) ?? 'the agent'} does not cover ${named.join(', ')}`;
    refusals?.add(peer, reason);
    throw new TunnelError('unauthorized', reason);
  };
}
