import { createAdminPorts } from '../admin/admin-ports.ts';
import { statusRoutes } from '../admin/status.ts';
import { whyRoutes } from '../admin/why.ts';
import { claimConflicts } from '../agents/exclusive-claims.ts';
import type { AgentSide } from './agent-side.ts';
import type { FrontEndSide } from './front-end-side.ts';
import type { ServerContext } from './server-context.ts';

/** The health and admin ports of one server. Nothing listens yet. */
export function createAdminSide(
  { options, logger, files, metrics, memory, handshakes }: ServerContext,
  { backends, router, readiness, connections, refusals }: AgentSide,
  { frontEnd, history, fault }: FrontEndSide,
) {
  metrics.observe(
    'fairlead_server_buffered_bytes',
    'Bytes that streams buffer because a peer does not read them',
    () => memory.bufferedBytes,
  );
  metrics.observe(
    'fairlead_server_pending_handshakes',
    'Connections whose peer is not authenticated yet',
    () => handshakes.count,
  );
  metrics.observe(
    'fairlead_server_failing_agents',
    'Tunnels to agents that are avoided because their last dials failed by their own fault',
    () => connections.serving.filter(({ isFailing }) => isFailing).length,
  );
  metrics.observe(
    'fairlead_server_claim_conflicts',
    'Hosts and addresses that agents with different identities claim',
    () => claimConflicts(backends).length,
    // All workers have the same agents.
    'max',
  );
  const reports = {
    ...statusRoutes(
      options,
      backends,
      () => connections.serving,
      frontEnd,
      refusals,
      () => readiness.isDraining,
    ),
    ...whyRoutes(router, history, refusals, () => files.policy),
  };
  const ports = createAdminPorts(options, logger, {
    registry: metrics.registry,
    notReadyReason: () => readiness.whyNotReady() ?? fault(),
    reports,
  });
  return { ports, reports };
}
