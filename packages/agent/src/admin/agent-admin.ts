import { AdminPorts, jsonReply } from '@fairlead/runtime/admin';
import { type Logger, release } from '@fairlead/runtime/process';
import type { AgentIdentity } from '../identity/agent-identity.ts';
import type { AgentOptions } from '../options.ts';
import type { ServerTunnels } from '../servers/server-tunnels.ts';
import type { AgentMetrics } from './metrics.ts';

/** The agent's health port and admin port, over HTTP. */
export function createAgentAdmin(
  options: AgentOptions,
  logger: Logger,
  { registry }: AgentMetrics,
  tunnels: ServerTunnels,
  identity: AgentIdentity | undefined,
): AdminPorts {
  const { healthServerPort, healthServerHost, adminServerPort, adminBindAddress } = options;
  return new AdminPorts(
    {
      health: { flag: '--health-server-port', port: healthServerPort, host: healthServerHost },
      admin: { flag: '--admin-server-port', port: adminServerPort, host: adminBindAddress },
      registry,
      notReadyReason: () => {
        if (tunnels.readyCount > 0) return undefined;
        return identity?.isPresent === false ? 'no certificate yet' : 'no server is connected';
      },
      notReadyStatus: 503,
      reports: { '/api/v1/status': () => jsonReply(200, statusOf(options, tunnels)) },
    },
    logger,
  );
}

function statusOf({ agentId }: AgentOptions, { connectors }: ServerTunnels): object {
  const servers = connectors.flatMap(({ address, sessions }) =>
    sessions.map((session) => ({
      address,
      serverId: session.peerHello?.serverId,
      transport: session.transport.kind,
      isDraining: session.isDraining,
      streams: session.streamCount,
      // Infinity before the first round trip, which JSON cannot express.
      minRttMs: Number.isFinite(session.minRttMs) ? session.minRttMs : null,
      receivedBytes: session.receivedBytes,
      sentBytes: session.sentBytes,
    })),
  );
  return { version: release.version, agentId, servers };
}
