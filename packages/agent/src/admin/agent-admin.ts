import { HttpAdmin, healthRoutes, jsonReply, metricsRoutes } from '@fairlead/runtime/admin';
import type { Logger } from '@fairlead/runtime/process';
import type { AgentOptions } from '../options.ts';
import type { ServerTunnels } from '../servers/server-tunnels.ts';
import { version } from '../version.ts';
import type { AgentMetrics } from './metrics.ts';

/** The health port and the admin port, over HTTP. */
export class AgentAdmin {
  readonly #options: AgentOptions;
  readonly #health: HttpAdmin;
  readonly #admin: HttpAdmin;

  /** @param hasCertificate false while an agent that gets its certificate by itself has none */
  constructor(
    options: AgentOptions,
    logger: Logger,
    { registry }: AgentMetrics,
    tunnels: ServerTunnels,
    hasCertificate: () => boolean,
  ) {
    this.#options = options;
    const whyNotReady = () => {
      if (tunnels.readyCount > 0) return undefined;
      return hasCertificate() ? 'no server is connected' : 'no certificate yet';
    };
    const metrics = metricsRoutes(registry);
    this.#health = new HttpAdmin({ ...healthRoutes(whyNotReady, 503), ...metrics }, logger);
    const status = () => jsonReply(200, statusOf(options, tunnels));
    this.#admin = new HttpAdmin({ ...metrics, '/api/v1/status': status }, logger);
  }

  /** @returns the addresses of both ports @throws StartupError if a port cannot be bound */
  async listen() {
    const { healthServerPort, healthServerHost, adminServerPort, adminBindAddress } = this.#options;
    return {
      health: await this.#health.listen({
        listener: 'health',
        flag: '--health-server-port',
        port: healthServerPort,
        host: healthServerHost,
      }),
      admin: await this.#admin.listen({
        listener: 'admin',
        flag: '--admin-server-port',
        port: adminServerPort,
        host: adminBindAddress,
      }),
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.#health.close(), this.#admin.close()]);
  }
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
  return { version, agentId, servers };
}
