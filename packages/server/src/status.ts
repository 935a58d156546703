import type { AdminRoutes } from '@fairlead/runtime';
import type { FrontEnd } from './frontend/front-end.ts';
import type { ServerOptions } from './options.ts';
import type { Tunnels } from './tunnels.ts';
import { version } from './version.ts';

/** `/api/v1/status`: what the server is doing, as JSON. */
export function statusRoutes(
  options: ServerOptions,
  tunnels: Tunnels,
  frontEnd: FrontEnd,
): AdminRoutes {
  return {
    '/api/v1/status': () => ({
      status: 200,
      contentType: 'application/json',
      body: `${JSON.stringify({
        version,
        serverId: options.serverId,
        streams: frontEnd.activeStreams,
        agents: tunnels.backends.map(({ agentId, peer, session, isDraining }) => ({
          agentId,
          address: peer.address,
          commonName: peer.commonName,
          transport: session.transport.kind,
          isDraining,
          isSilent: session.isSilent,
          streams: session.streamCount,
          // Infinity until the first round trip is known; JSON has no word for it.
          minRttMs: Number.isFinite(session.minRttMs) ? session.minRttMs : null,
          receivedBytes: session.receivedBytes,
          sentBytes: session.sentBytes,
        })),
      })}\n`,
    }),
  };
}
