import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import {
  completeOptions,
  HttpAdmin,
  healthRoutes,
  type Logger,
  metricsRoutes,
  UsageError,
  WatchedFile,
} from '@fairlead/runtime';
import { AgentListener } from './agent-port/agent-listener.ts';
import { Backends } from './backends.ts';
import { createDial } from './dialer.ts';
import { FrontEnd } from './frontend/front-end.ts';
import { ServerMetrics } from './metrics.ts';
import { frontEndPort, type ServerOptions, serverOptions } from './options.ts';
import { PeerList } from './peer-list.ts';
import { Readiness } from './readiness.ts';
import { Router } from './router.ts';
import { statusRoutes } from './status.ts';
import { loadServerTls } from './tls.ts';
import { Tunnels } from './tunnels.ts';

/** Time between TCP probes of idle front-end clients. */
const KEEP_ALIVE_MS = 30_000;

/** Where a server listens. */
export interface ServerAddresses {
  readonly agent: AddressInfo;
  readonly health: AddressInfo;
  readonly admin: AddressInfo;
  /** Undefined when only the Unix domain socket is served. */
  readonly frontEnd: AddressInfo | undefined;
}

export interface FairleadServer {
  readonly addresses: ServerAddresses;
  /**
   * Takes no new streams and lets open ones finish, for as long as `gracefulShutdownTimeout` allows; then
   * ends everything.
   */
  drain(): Promise<void>;
  /** Ends everything at once. */
  close(): Promise<void>;
}

/**
 * Starts a server.
 * @param given options by their camelCase names; what is left out has its default
 * @throws UsageError for options and files that cannot work, StartupError for ports that cannot be had
 */
export async function createServer(
  given: Partial<ServerOptions>,
  logger: Logger,
): Promise<FairleadServer> {
  const options = completeOptions(serverOptions, given);
  const tls = loadServerTls(options);
  for (const warning of tls.warnings) logger.warn(warning);

  const metrics = new ServerMetrics();
  const backends = new Backends((counts, hasNew) => {
    metrics.setBackends(counts, options.proxyStrategies);
    if (hasNew) readiness.onAgent();
  });
  metrics.setBackends(backends.counts, options.proxyStrategies);
  const tunnels = new Tunnels(options, logger, backends);
  const router = new Router(backends, options.proxyStrategies);
  const readiness = new Readiness({
    settleMs: options.agentsSettleTime,
    settleTimeoutMs: options.agentsSettleTimeout,
    hasBackend: () => router.isReady,
  });
  const peers = new PeerList({
    own: options.advertiseAgentAddress,
    path: options.peersFile,
    logger,
    onChange: (list) => tunnels.setPeers(list),
  });
  const dial = createDial({
    router,
    timeoutMs: options.backendDialTimeout,
    onRetry: (error) => metrics.onRetry(error),
  });

  const frontEnd = new FrontEnd({
    dial,
    logger,
    observer: metrics,
    mode: options.mode,
    headTimeoutMs: options.headTimeout,
    maxHeadBytes: options.maxHeadBytes,
  });
  const agents = new AgentListener({
    host: options.agentBindAddress,
    port: options.agentPort,
    tls: tls.agents,
    handshakeTimeoutMs: options.handshakeTimeout,
    headTimeoutMs: options.headTimeout,
    maxHeadBytes: options.maxHeadBytes,
    logger,
    onTunnel: (transport, peer) => tunnels.add(transport, peer),
    onRefused: (reason) => metrics.onAgentRefused(reason),
    onHandshake: (isResumed) => metrics.onAgentHandshake(isResumed),
  });
  const ticketKeyWatch = watchTicketKeys();

  const health = new HttpAdmin(
    { ...healthRoutes(() => readiness.whyNotReady(), 500), ...metricsRoutes(metrics.registry) },
    logger,
  );
  const admin = new HttpAdmin(
    { ...metricsRoutes(metrics.registry), ...statusRoutes(options, tunnels, frontEnd) },
    logger,
  );

  const close = async () => {
    readiness.drain();
    peers.close();
    ticketKeyWatch?.close();
    agents.stop();
    await frontEnd.destroyAll();
    await tunnels.close();
    agents.destroyAll();
    await Promise.all([health.close(), admin.close()]);
  };

  const drain = async () => {
    const untilMs = performance.now() + options.gracefulShutdownTimeout;
    readiness.drain();
    agents.stop();
    tunnels.drain();
    const progress = setInterval(() => {
      const secondsLeft = Math.ceil((untilMs - performance.now()) / 1000);
      logger.info({ streams: frontEnd.activeStreams, secondsLeft }, 'draining');
    }, 1_000);
    if (readiness.isWatched) {
      await pause(Math.min(options.shutdownDelay, options.gracefulShutdownTimeout));
    }
    const timedOut = await finishesWithin(frontEnd.drain(), untilMs - performance.now());
    clearInterval(progress);
    if (timedOut) logger.warn({ streams: frontEnd.activeStreams }, 'open streams are cut');
    await close();
  };

  try {
    peers.start();
    const addresses = await listenAll();
    return { addresses, drain, close };
  } catch (error) {
    await close();
    throw error;
  }

  /** Tickets of earlier keys mean a full handshake each, nothing worse. */
  function watchTicketKeys(): WatchedFile | undefined {
    if (options.tlsTicketKeyFile === undefined) return undefined;
    return new WatchedFile(options.tlsTicketKeyFile, () => {
      try {
        agents.setSecureContext(loadServerTls(options).agents);
        logger.info('TLS ticket keys changed');
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        logger.warn({ detail: error.message }, 'the TLS ticket keys stay as they were');
      }
    });
  }

  async function listenAll(): Promise<ServerAddresses> {
    const { healthPort, healthBindAddress, adminPort, adminBindAddress } = options;
    const port = frontEndPort(options);
    return {
      health: await health.listen({
        listener: 'health',
        flag: '--health-port',
        port: healthPort,
        host: healthBindAddress,
      }),
      admin: await admin.listen({
        listener: 'admin',
        flag: '--admin-port',
        port: adminPort,
        host: adminBindAddress,
      }),
      agent: await agents.listen(),
      frontEnd: await listenFrontEnd(port),
    };
  }

  async function listenFrontEnd(port: number | undefined): Promise<AddressInfo | undefined> {
    if (options.udsName !== undefined) {
      await frontEnd.listenUds({
        path: options.udsName,
        takeover: options.udsTakeover,
        deleteExisting: options.deleteExistingUdsFile,
      });
    }
    if (port === undefined || !tls.frontEnd) return undefined;
    const listener = await frontEnd.listenTls({
      port,
      host: options.serverBindAddress,
      tls: tls.frontEnd,
      handshakeTimeoutMs: options.handshakeTimeout,
      keepAliveMs: KEEP_ALIVE_MS,
    });
    return listener.address;
  }
}

/** @returns true if the time was up first */
async function finishesWithin(work: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<true>((resolve) => {
    timer = setTimeout(resolve, ms, true);
  });
  const timedOut = await Promise.race([work.then(() => false), timeUp]);
  clearTimeout(timer);
  return timedOut;
}
