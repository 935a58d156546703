import type { AdminRoutes } from '@fairlead/runtime/admin';
import type { AgentOptions } from '../options.ts';
import type { ServerLinks } from '../servers/server-tunnels.ts';
import { version } from '../version.ts';

/** `/api/v1/status`: what the agent is doing, as JSON. */
export function statusRoutes(options: AgentOptions, links: ServerLinks): AdminRoutes {
  return {
    '/api/v1/status': () => ({
      status: 200,
      contentType: 'application/json',
      body: `${JSON.stringify({
        version,
        agentId: options.agentId,
        servers: links.all.flatMap((link) =>
          link.sessions.map((session) => ({
            address: link.address,
            serverId: session.peerHello?.serverId,
            transport: session.transport.kind,
            isDraining: session.isDraining,
            streams: session.streamCount,
            // Infinity until the first round trip is known; JSON has no word for it.
            minRttMs: Number.isFinite(session.minRttMs) ? session.minRttMs : null,
            receivedBytes: session.receivedBytes,
            sentBytes: session.sentBytes,
          })),
        ),
      })}\n`,
    }),
  };
}
