import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { HttpAdmin, healthRoutes, metricsRoutes } from '@fairlead/runtime/admin';
import { completeOptions } from '@fairlead/runtime/options';
import {
  counted,
  createFileLog,
  FileReloader,
  type Logger,
  UsageError,
} from '@fairlead/runtime/process';
import { AgentDenyList, CertificateExpiry, HandshakeLimit } from '@fairlead/runtime/tls';
import { ServerMetrics } from './admin/metrics.ts';
import { Readiness } from './admin/readiness.ts';
import { statusRoutes } from './admin/status.ts';
import { whyRoutes } from './admin/why.ts';
import { AgentListener } from './agents/agent-listener.ts';
import type { AgentPeer } from './agents/agent-peer.ts';
import { AgentAuthorizer } from './agents/auth/agent-authorization.ts';
import { createTokenAuthentication } from './agents/auth/token-authentication.ts';
import { BackendLimits } from './agents/backend-limits.ts';
import { Backends } from './agents/backends.ts';
import { ExclusiveClaims } from './agents/exclusive-claims.ts';
import { GrpcAgents } from './agents/grpc-agents.ts';
import { type TunnelRules, Tunnels } from './agents/tunnels.ts';
import { PeerList } from './cluster/peer-list.ts';
import { createServerLeases } from './cluster/server-leases.ts';
import { FrontEnd } from './front-end/front-end.ts';
import { FrontEndPolicy } from './front-end/front-end-policy.ts';
import { loadAgentPortTls, loadFrontEndTls } from './listeners/tls.ts';
import type { TlsListener } from './listeners/tls-listener.ts';
import { frontEndPort, type ServerOptions, serverOptions } from './options.ts';
import { DialHistory } from './routing/dial-history.ts';
import { createDial } from './routing/dialer.ts';
import { guardDial } from './routing/guarded-dial.ts';
import { Router } from './routing/router.ts';
import type { WorkerPlace } from './workers/messages.ts';

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
  /** Looks at certificates and policies now, as it does by itself when they change. */
  reload(): void;
  /** In a line, for a person: how many agents and streams there are. */
  describe(): string;
  /** Ends everything at once. */
  close(): Promise<void>;
}

/**
 * Starts a server in this process.
 * @param given options by their camelCase names; what is left out has its default
 * @throws UsageError for options and files that cannot work, StartupError for ports that cannot be had
 */
export async function createServer(
  given: Partial<ServerOptions>,
  logger: Logger,
): Promise<FairleadServer> {
  const options = completeOptions(serverOptions, given);
  if (options.workers > 1) {
    throw new UsageError('--workers is for the program: createServer() makes one server');
  }
  const { start, drain, describe, reload, close } = await assembleServer(options, logger);
  return { addresses: await start(), drain, describe, reload, close };
}

/**
 * Makes all parts of a server, of which `start` then opens the ports.
 * @param options complete and checked
 * @param place what a worker of a server is given by its primary; without it all ports are its own
 * @throws UsageError for files that cannot work
 */
export async function assembleServer(options: ServerOptions, logger: Logger, place?: WorkerPlace) {
  const secret = place?.ticketSecret;
  let agentTls = loadAgentPortTls(options, secret);
  let frontEndTls = loadFrontEndTls(options, secret);
  for (const warning of [...agentTls.warnings, ...(frontEndTls?.warnings ?? [])]) {
    logger.warn(warning);
  }
  const readPolicy = () =>
    options.frontendPolicy === undefined
      ? undefined
      : FrontEndPolicy.read({ flag: '--frontend-policy', path: options.frontendPolicy });
  const readDenyList = () =>
    options.agentDenylist === undefined
      ? undefined
      : AgentDenyList.read({ flag: '--agent-denylist', path: options.agentDenylist });
  let policy = readPolicy();
  let denyList = readDenyList();
  const whyDenied = (peer: AgentPeer) => {
    const entry = denyList?.entryFor(peer);
    return entry === undefined ? undefined : `--agent-denylist has ${entry}`;
  };
  if (options.proxyStrategies.includes('default')) {
    logger.info('proxy strategy default: any agent may be given any target, whatever it claims');
  }

  const exclusiveClaims = new ExclusiveClaims(logger);
  const metrics: ServerMetrics = new ServerMetrics({
    bufferedBytes: () => tunnels.bufferedBytes,
    pendingHandshakes: () => handshakes.count,
    claimConflicts: () => exclusiveClaims.conflicts().length,
  });
  const tokens = await createTokenAuthentication(options, logger, (outcome) =>
    metrics.onTokenReview(outcome),
  );
  const handshakes = new HandshakeLimit(options.maxHandshakes, () => metrics.onLimit('handshakes'));
  const backends = new Backends((counts, hasNew) => {
    metrics.setBackends(counts, options.proxyStrategies);
    if (hasNew) readiness.onAgent();
  });
  metrics.setBackends(backends.counts, options.proxyStrategies);
  const rules: TunnelRules = {
    authorizer: new AgentAuthorizer({
      mode: options.agentAuthorization,
      logger,
      onUncovered: (kind, refused) => metrics.onUncoveredClaim(kind, refused),
    }),
    exclusiveClaims,
    whyDenied,
    onUnauthorized: () => metrics.onAgentRefused('unauthorized'),
  };
  const tunnels = new Tunnels(options, logger, backends, rules);
  const grpcAgents = new GrpcAgents({
    options,
    logger,
    backends,
    rules,
    memory: tunnels.memory,
    observer: metrics.grpcCalls('Connect'),
  });
  const router = new Router(backends, options.proxyStrategies);
  const readiness = new Readiness({
    settleMs: options.agentsSettleTime,
    settleTimeoutMs: options.agentsSettleTimeout,
    hasBackend: () => router.isReady,
  });
  const peers = new PeerList({
    own: [options.advertiseAgentAddress ?? [], place?.fellows ?? []].flat(),
    path: options.peersFile,
    logger,
    onChange: (list) => tunnels.setPeers(list),
  });
  const leases = options.enableLeaseController
    ? await createServerLeases({
        options,
        logger,
        registry: metrics.registry,
        onServers: ({ count, agentAddresses }) => {
          tunnels.setServerCount(count);
          grpcAgents.setServerCount(count);
          peers.setLeased(agentAddresses);
        },
      })
    : undefined;
  const history = new DialHistory();
  const dial = guardDial(
    createDial({
      router,
      limits: new BackendLimits({
        maxStreams: options.maxStreamsPerTunnel,
        bytesPerSecond: options.maxTunnelBandwidth,
        onFull: () => metrics.onLimit('streams_per_tunnel'),
      }),
      timeoutMs: options.backendDialTimeout,
      onRetry: (error) => metrics.onRetry(error),
    }),
    { policy: () => policy, history, onDenied: () => metrics.onPolicyDenied() },
  );

  const accessLog =
    options.accessLog === undefined ? undefined : createFileLog('--access-log', options.accessLog);
  const frontEnd = new FrontEnd({
    dial,
    logger,
    observer: metrics,
    mode: options.mode,
    limits: {
      maxStreams: options.maxStreams,
      maxStreamsPerCaller: options.maxStreamsPerCaller,
      maxPendingDials: options.maxPendingDials,
      maxOpensPerSecond: options.maxOpensPerSecond,
    },
    headTimeoutMs: options.headTimeout,
    maxHeadBytes: options.maxHeadBytes,
    memory: tunnels.memory,
    ...(accessLog && { accessLog: accessLog.logger }),
  });
  const agents = new AgentListener({
    host: options.agentBindAddress,
    port: options.agentPort,
    fd: place?.sockets.agent,
    tls: agentTls.context,
    tokens: tokens?.authenticator,
    handshakeTimeoutMs: options.handshakeTimeout,
    headTimeoutMs: options.headTimeout,
    maxHeadBytes: options.maxHeadBytes,
    handshakes,
    memory: tunnels.memory,
    logger,
    whyDenied,
    onTunnel: (transport, peer, identify) => tunnels.add(transport, peer, identify),
    onAgentCall: (stream, headers, peer) => grpcAgents.add(stream, headers, peer),
    onRefused: (reason) => metrics.onAgentRefused(reason),
    onHandshake: (isResumed) => metrics.onAgentHandshake(isResumed),
  });

  let frontEndListener: TlsListener | undefined;
  const allBackends = () => [...tunnels.backends, ...grpcAgents.backends];
  const health = new HttpAdmin(
    { ...healthRoutes(() => readiness.whyNotReady(), 500), ...metricsRoutes(metrics.registry) },
    logger,
  );
  const reports = {
    ...statusRoutes(options, allBackends, exclusiveClaims, frontEnd),
    ...whyRoutes({ router, history, policy: () => policy }),
  };
  const admin = new HttpAdmin({ ...metricsRoutes(metrics.registry), ...reports }, logger);

  const metricPrefix = 'fairlead_server_';
  const expiry = new CertificateExpiry({ logger, registry: metrics.registry, metricPrefix });
  expiry.update([...agentTls.expiries, ...(frontEndTls?.expiries ?? [])]);
  const reloader = new FileReloader({
    logger,
    intervalMs: options.reloadInterval,
    registry: metrics.registry,
    metricPrefix,
  });

  const close = async () => {
    readiness.drain();
    agents.stop();
    const withdrawn = leases?.close();
    await frontEnd.destroyAll();
    await Promise.all([tunnels.close(), grpcAgents.close()]);
    agents.destroyAll();
    await withdrawn;
    tokens?.close();
    reloader.close();
    expiry.close();
    await Promise.all([health.close(), admin.close(), accessLog?.close()]);
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
    // Not before: agents leave a server whose Lease is gone.
    void leases?.withdraw();
    const timedOut = await finishesWithin(frontEnd.drain(), untilMs - performance.now());
    clearInterval(progress);
    if (timedOut) logger.warn({ streams: frontEnd.activeStreams }, 'open streams are cut');
    await close();
  };

  /** @throws UsageError, StartupError; nothing is left open then */
  const opened = async <T>(open: () => Promise<T>): Promise<T> => {
    try {
      peers.read();
      const result = await open();
      watchFiles();
      leases?.start();
      return result;
    } catch (error) {
      await close();
      throw error;
    }
  };

  return {
    start: () => opened(listenAll),
    drain,
    close,
    describe,
    reload: () => {
      accessLog?.reopen();
      reloader.check();
    },
    /** What a primary needs of its worker. */
    worker: {
      start: () => opened(async () => place?.sockets.agent !== undefined && agents.listen()),
      openFrontEnd: () => listenFrontEnd(frontEndPort(options)),
      takeAgent: (socket: Socket) => agents.take(socket),
      readiness,
      reports,
      registry: metrics.registry,
    },
  };

  function describe(): string {
    return `${counted(allBackends().length, 'agent')}, ${counted(frontEnd.activeStreams, 'stream')}`;
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
        shared: place?.sockets.uds,
      });
    }
    if (port === undefined || !frontEndTls) return undefined;
    frontEndListener = await frontEnd.listenTls({
      port,
      host: options.serverBindAddress,
      fd: place?.sockets.frontEnd,
      tls: frontEndTls.context,
      handshakeTimeoutMs: options.handshakeTimeout,
      keepAliveMs: KEEP_ALIVE_MS,
      handshakes,
    });
    return frontEndListener.address;
  }

  /** What is in use when a file turns out to be no good stays in use: each of these reads first. */
  function watchFiles(): void {
    const watch = (name: string, paths: readonly (string | undefined)[], reload: () => void) => {
      const given = paths.filter((path) => path !== undefined);
      if (given.length > 0) reloader.add({ name, paths: given, reload });
    };
    const { clusterCert, clusterKey, clusterCaCert, tlsTicketKeyFile } = options;
    const { serverCert, serverKey, serverCaCert } = options;
    const agentPortFiles = [clusterCert, clusterKey, clusterCaCert, tlsTicketKeyFile];
    watch('agent-port certificates', agentPortFiles, () => {
      const loaded = loadAgentPortTls(options, secret, agentTls);
      agents.setSecureContext(loaded.context);
      agentTls = loaded;
      for (const warning of loaded.warnings) logger.warn(warning);
      expiry.update(loaded.expiries);
    });
    watch('front-end certificates', [serverCert, serverKey, serverCaCert], () => {
      const loaded = loadFrontEndTls(options, secret, frontEndTls);
      if (!loaded) return;
      frontEndTls = loaded;
      frontEndListener?.setSecureContext(loaded.context);
      for (const warning of loaded.warnings) logger.warn(warning);
      expiry.update(loaded.expiries);
    });
    watch('front-end policy', [options.frontendPolicy], () => {
      policy = readPolicy();
    });
    watch('peers', [options.peersFile], () => peers.read());
    watch('agent deny list', [options.agentDenylist], () => {
      denyList = readDenyList();
      tunnels.closeDenied();
      grpcAgents.closeDenied();
    });
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
