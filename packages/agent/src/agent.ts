import type { AddressInfo } from 'node:net';
import { MemoryBudget } from '@fairlead/protocol';
import {
  completeOptions,
  HttpAdmin,
  healthRoutes,
  type Logger,
  metricsRoutes,
} from '@fairlead/runtime';
import { Acceptor } from './acceptor.ts';
import { Backoff } from './backoff.ts';
import { EgressProxies } from './egress-proxy.ts';
import { AgentMetrics } from './metrics.ts';
import { type AgentOptions, agentOptions } from './options.ts';
import { ServerLink } from './server-link.ts';
import { statusRoutes } from './status.ts';
import { loadAgentTls } from './tls.ts';
import { TransportSelector, transportChoices } from './transport-selection.ts';

/** Where an agent listens: never for tunnels, only for probes and metrics. */
export interface AgentAddresses {
  readonly health: AddressInfo;
  readonly admin: AddressInfo;
}

export interface FairleadAgent {
  readonly addresses: AgentAddresses;
  /** Whether a server is connected. */
  readonly isReady: boolean;
  /**
   * Asks for no new streams and lets open ones finish, for as long as `gracefulShutdownTimeout` allows; then
   * ends everything.
   */
  drain(): Promise<void>;
  /** Ends everything at once. */
  close(): Promise<void>;
}

/**
 * Starts an agent; it goes on connecting until it is closed.
 * @param given options by their camelCase names; what is left out has its default
 * @param env where HTTPS_PROXY and NO_PROXY are looked up
 * @throws UsageError for options and files that cannot work, StartupError for ports that cannot be had
 */
export async function createAgent(
  given: Partial<AgentOptions>,
  logger: Logger,
  env: NodeJS.ProcessEnv = process.env,
): Promise<FairleadAgent> {
  const options = completeOptions(agentOptions, given);
  const { tls, warnings } = loadAgentTls(options);
  for (const warning of warnings) logger.warn(warning);

  const metrics = new AgentMetrics();
  const proxies = new EgressProxies({ url: options.egressProxy, env });
  const selector = new TransportSelector(transportChoices(options.transport));
  const memory = new MemoryBudget(options.maxProcessWindow);
  const acceptor = new Acceptor({ dialTimeoutMs: options.dialTimeout, logger, metrics });
  const grpcIdentity = {
    agentId: options.agentId,
    agentIdentifiers: options.agentIdentifiers,
    tokenPath: options.serviceAccountTokenPath,
  };
  let onIdle: (() => void) | undefined;

  const links: ServerLink[] = options.proxyServerHost.map(
    (host) =>
      new ServerLink({
        endpoint: { host, port: options.proxyServerPort },
        options,
        logger,
        memory,
        backoff: new Backoff({ minMs: options.reconnectMin, maxMs: options.reconnectMax }),
        connect: (endpoint, signal) =>
          selector.connect(endpoint, tls, {
            timeoutMs: options.handshakeTimeout,
            signal,
            proxy: proxies.for(endpoint),
            grpcIdentity,
          }),
        onStream: (stream) => acceptor.accept(stream),
        onChange,
        onConnectFailed: (error) => metrics.onConnectFailed(error.reason),
        onLost: () => metrics.onTunnelLost(),
        packetObserver: metrics.packetObserver,
      }),
  );

  const countStreams = () => links.reduce((sum, link) => sum + link.streamCount, 0);
  const isReady = () => links.some((link) => link.isReady);
  const whyNotReady = () => (isReady() ? undefined : 'no server is connected');
  const health = new HttpAdmin(
    { ...healthRoutes(whyNotReady, 503), ...metricsRoutes(metrics.registry) },
    logger,
  );
  const admin = new HttpAdmin(
    { ...metricsRoutes(metrics.registry), ...statusRoutes(options, links) },
    logger,
  );

  const close = async () => {
    await Promise.all(links.map((link) => link.close()));
    await Promise.all([health.close(), admin.close()]);
  };

  const drain = async () => {
    for (const link of links) link.drain();
    const until = performance.now() + options.gracefulShutdownTimeout;
    const report = () => {
      const secondsLeft = Math.ceil((until - performance.now()) / 1000);
      logger.info({ streams: countStreams(), secondsLeft }, 'draining');
    };
    const progress = setInterval(report, 1_000);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, options.gracefulShutdownTimeout);
      onIdle = () => {
        if (countStreams() > 0) return;
        clearTimeout(timer);
        resolve();
      };
      onIdle();
    });
    clearInterval(progress);
    const streams = countStreams();
    if (streams > 0) logger.warn({ streams }, 'open streams are cut');
    await close();
  };

  try {
    const addresses = {
      health: await health.listen({
        listener: 'health',
        flag: '--health-server-port',
        port: options.healthServerPort,
        host: options.healthServerHost,
      }),
      admin: await admin.listen({
        listener: 'admin',
        flag: '--admin-server-port',
        port: options.adminServerPort,
        host: options.adminBindAddress,
      }),
    };
    for (const link of links) void link.run();
    return {
      addresses,
      get isReady() {
        return isReady();
      },
      drain,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }

  function onChange(): void {
    metrics.setServers(links.reduce((sum, link) => sum + link.readyTunnels, 0));
    metrics.setKnownServers(Math.max(...links.map((link) => link.serverCount)));
    onIdle?.();
  }
}
