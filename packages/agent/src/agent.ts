import type { AddressInfo } from 'node:net';
import { MemoryBudget } from '@fairlead/protocol';
import { HttpAdmin, healthRoutes, metricsRoutes } from '@fairlead/runtime/admin';
import { completeOptions } from '@fairlead/runtime/options';
import { counted, FileReloader, type Logger } from '@fairlead/runtime/process';
import { CertificateExpiry } from '@fairlead/runtime/tls';
import { AgentMetrics } from './admin/metrics.ts';
import { statusRoutes } from './admin/status.ts';
import { type AgentTls, loadAgentTls } from './connect/credentials.ts';
import { EgressProxies } from './connect/proxy/egress-proxy.ts';
import type { TunnelTlsOptions } from './connect/server-connection.ts';
import { TransportSelector, transportChoices } from './connect/transport-selection.ts';
import { AgentIdentity } from './identity/agent-identity.ts';
import { type AgentOptions, agentOptions } from './options.ts';
import { createLeaseCount } from './servers/lease-count.ts';
import { ServerLinks } from './servers/server-tunnels.ts';
import { Acceptor } from './streams/acceptor.ts';
import type { Lookup } from './streams/dial-target.ts';
import { readTargetRules } from './streams/policy-source.ts';
import { TargetPolicy } from './streams/target-policy.ts';

/** Where an agent listens: never for tunnels, only for probes and metrics. */
export interface AgentAddresses {
  readonly health: AddressInfo;
  readonly admin: AddressInfo;
}

export interface FairleadAgent {
  readonly addresses: AgentAddresses;
  /** Whether a server is connected. */
  readonly isReady: boolean;
  /** Rejects with StartupError when an agent without a certificate learns that it will not get one. */
  readonly ended: Promise<never>;
  /**
   * Asks for no new streams and lets open ones finish, for as long as `gracefulShutdownTimeout` allows; then
   * ends everything.
   */
  drain(): Promise<void>;
  /** Looks at certificates and policy now, as it does by itself when they change. */
  reload(): void;
  /** In a line, for a person: how many servers and streams there are. */
  describe(): string;
  /** Ends everything at once. */
  close(): Promise<void>;
}

/**
 * Starts an agent; it goes on connecting until it is closed.
 * @param given options by their camelCase names; what is left out has its default
 * @param env where HTTPS_PROXY and NO_PROXY are looked up
 * @param lookup how names are resolved, if not by the system
 * @throws UsageError for options and files that cannot work, StartupError for ports that cannot be had
 */
export async function createAgent(
  given: Partial<AgentOptions>,
  logger: Logger,
  env: NodeJS.ProcessEnv = process.env,
  lookup?: Lookup,
): Promise<FairleadAgent> {
  const options = completeOptions(agentOptions, given);
  // One object for one set of credentials: TLS sessions are kept per object. There is none before an agent
  // has joined.
  let tls: TunnelTlsOptions = {};
  const ownPorts = new Set<number>();
  let policy = new TargetPolicy(readTargetRules(options), ownPorts);

  const metrics = new AgentMetrics();
  const proxies = new EgressProxies({ url: options.egressProxy, env });
  const identity =
    options.identityDir === undefined
      ? undefined
      : await AgentIdentity.open({
          options,
          directory: options.identityDir,
          logger,
          proxyFor: (endpoint) => proxies.for(endpoint),
          onRequest: (request, isIssued) => metrics.onCertificateRequest(request, isIssued),
        });
  const selector = new TransportSelector(transportChoices(options.transport));
  const memory = new MemoryBudget(options.maxProcessWindow);
  const acceptor = new Acceptor({
    dialTimeoutMs: options.dialTimeout,
    policy: () => policy,
    lookup,
    logger,
    metrics,
  });
  const grpcIdentity = {
    agentId: options.agentId,
    agentIdentifiers: options.agentIdentifiers,
  };
  let onIdle: (() => void) | undefined;

  const links = new ServerLinks({
    options,
    logger,
    memory,
    lookup,
    isProxied: (endpoint) => proxies.for(endpoint) !== undefined,
    connect: (endpoint, serverName, signal) =>
      selector.connect(endpoint, tls, {
        timeoutMs: options.handshakeTimeout,
        signal,
        serverName,
        proxy: proxies.for(endpoint),
        grpcIdentity,
        tokenPath: options.serviceAccountTokenPath,
      }),
    onStream: (stream) => acceptor.accept(stream),
    onChange,
    onConnectFailed: (error) => metrics.onConnectFailed(error.reason),
    onLost: () => metrics.onTunnelLost(),
    packetObserver: metrics.packetObserver,
  });

  const leaseCount = options.countServerLeases
    ? await createLeaseCount({
        options,
        logger,
        registry: metrics.registry,
        onCount: (count) => links.setLeaseCount(count),
      })
    : undefined;

  const whyNotReady = () => {
    if (links.isReady) return undefined;
    return identity?.isPresent === false ? 'no certificate yet' : 'no server is connected';
  };
  const health = new HttpAdmin(
    { ...healthRoutes(whyNotReady, 503), ...metricsRoutes(metrics.registry) },
    logger,
  );
  const admin = new HttpAdmin(
    { ...metricsRoutes(metrics.registry), ...statusRoutes(options, links) },
    logger,
  );

  const metricPrefix = 'fairlead_agent_';
  const expiry = new CertificateExpiry({ logger, registry: metrics.registry, metricPrefix });
  const reloader = new FileReloader({
    logger,
    intervalMs: options.reloadInterval,
    registry: metrics.registry,
    metricPrefix,
  });
  const watch = (name: string, paths: readonly (string | undefined)[], reload: () => void) => {
    const given = paths.filter((path) => path !== undefined);
    if (given.length > 0) reloader.add({ name, paths: given, reload });
  };

  const close = async () => {
    identity?.close();
    const counted = leaseCount?.close();
    reloader.close();
    expiry.close();
    await links.close();
    await Promise.all([health.close(), admin.close(), counted]);
  };

  const drain = async () => {
    links.drain();
    const until = performance.now() + options.gracefulShutdownTimeout;
    const report = () => {
      const secondsLeft = Math.ceil((until - performance.now()) / 1000);
      logger.info({ streams: links.streamCount, secondsLeft }, 'draining');
    };
    const progress = setInterval(report, 1_000);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, options.gracefulShutdownTimeout);
      onIdle = () => {
        if (!links.isIdle) return;
        clearTimeout(timer);
        resolve();
      };
      onIdle();
    });
    clearInterval(progress);
    const streams = links.streamCount;
    if (streams > 0) logger.warn({ streams }, 'open streams are cut');
    await close();
  };

  let inUse: AgentTls | undefined;
  const useCertificates = () => {
    const loaded = loadAgentTls(options, identity?.files, inUse);
    inUse = loaded;
    tls = loaded.tls;
    for (const warning of loaded.warnings) logger.warn(warning);
    const { warnMs } = identity ?? {};
    const own = identity?.files.cert.path;
    expiry.update(
      loaded.expiries.map((file) =>
        warnMs !== undefined && file.path === own ? { ...file, warnMs } : file,
      ),
    );
    return loaded;
  };

  const start = () => {
    // Tunnels go on; the next connection to a server shows the new certificate.
    watch('certificates', useCertificates().paths, useCertificates);
    links.start();
    void identity?.keepRenewed(() => reloader.check());
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
    ownPorts.add(addresses.health.port).add(addresses.admin.port);
    watch('policy', [options.policyFile], () => {
      policy = new TargetPolicy(readTargetRules(options), ownPorts);
    });
    leaseCount?.start();
    const hasJoined = identity === undefined || (await identity.join());
    const ended = hasJoined
      ? undefined
      : identity?.keepJoining().then((joined) => joined && start());
    if (hasJoined) start();
    return {
      addresses,
      ended: rejectionOf(ended),
      get isReady() {
        return links.isReady;
      },
      drain,
      describe: () =>
        `connected to ${links.readyCount} of ${counted(links.wantedCount, 'server')}, ${counted(links.streamCount, 'stream')}`,
      reload: () => reloader.check(),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }

  function onChange(): void {
    metrics.setServers(links.readyCount);
    metrics.setKnownServers(links.wantedCount);
    onIdle?.();
  }
}

/** Never resolves; a rejection that nobody waits for is not one that nobody handled. */
function rejectionOf(work: Promise<unknown> | undefined): Promise<never> {
  const rejection = new Promise<never>((_, reject) => work?.catch(reject));
  rejection.catch(() => {});
  return rejection;
}
