import { createAdminPorts } from '../admin/admin-ports.ts';
import { statusRoutes } from '../admin/status.ts';
import { whyRoutes } from '../admin/why.ts';
import type { AgentSide } from './agent-side.ts';
import type { FrontEndSide } from './front-end-side.ts';
import type { ServerContext } from './server-context.ts';

/** The health and admin ports of one server. Nothing listens yet. */
export function createAdminSide(
  { options, logger, files, metrics, memory, handshakes }: ServerContext,
  { router, readiness, connections, exclusiveClaims }: AgentSide,
  { frontEnd, history }: FrontEndSide,
) {
  metrics.observe({
    bufferedBytes: () => memory.bufferedBytes,
    pendingHandshakes: () => handshakes.count,
    claimConflicts: () => exclusiveClaims.conflicts().length,
  });
  const reports = {
    ...statusRoutes(options, () => connections.serving, exclusiveClaims, frontEnd),
    ...whyRoutes(router, history, () => files.policy),
  };
  const ports = createAdminPorts(options, logger, {
    registry: metrics.registry,
    notReadyReason: () => readiness.whyNotReady(),
    reports,
  });
  return { ports, reports };
}
