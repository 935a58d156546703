import type { AddressInfo } from 'node:net';
import { MemoryBudget } from '@fairlead/protocol';
import { completeOptions } from '@fairlead/runtime/options';
import { counted, type Logger, logDraining } from '@fairlead/runtime/process';
import { createAgentAdmin } from './admin/agent-admin.ts';
import { AgentMetrics } from './admin/metrics.ts';
import { AgentFiles } from './agent-files.ts';
import { EgressProxies } from './connect/proxy/egress-proxy.ts';
import { TransportSelector, transportChoices } from './connect/transport-selection.ts';
import { AgentIdentity } from './identity/agent-identity.ts';
import { type AgentOptions, agentOptions } from './options.ts';
import { createLeaseCount } from './servers/lease-count.ts';
import { ServerTunnels } from './servers/server-tunnels.ts';
import { Acceptor } from './streams/acceptor.ts';
import type { Lookup } from './streams/dial-target.ts';

export interface FairleadAgent {
  /** Where it listens for probes and scrapers. */
  readonly addresses: { readonly health: AddressInfo; readonly admin: AddressInfo };
  /** Whether a server is connected. */
  readonly isReady: boolean;
  /** Rejects with StartupError if an agent without a certificate learns that it cannot get one. */
  readonly ended: Promise<never>;
  /**
   * Asks for no new streams and lets open ones finish within `gracefulShutdownTimeout`; then ends everything.
   */
  drain(): Promise<void>;
  /** Reads changed certificates and policy now. The agent also does so by itself. */
  reload(): void;
  /** One line for people: how many servers are connected, and how many streams are open. */
  describe(): string;
  /** Ends everything at once. */
  close(): Promise<void>;
}

/**
 * Starts an agent, which stays connected to its servers until it is closed.
 * @param given options by their camelCase names; the others have their defaults
 * @param env where HTTPS_PROXY and NO_PROXY are read
 * @param lookup how names are resolved; default: by the system
 * @throws UsageError for options and files that cannot work, StartupError if a port cannot be bound
 */
export async function createAgent(
  given: Partial<AgentOptions>,
  logger: Logger,
  env: NodeJS.ProcessEnv = process.env,
  lookup?: Lookup,
): Promise<FairleadAgent> {
  const agent = new Agent(
    await createParts(completeOptions(agentOptions, given), logger, env, lookup),
  );
  try {
    await agent.start();
    return agent;
  } catch (error) {
    await agent.close();
    throw error;
  }
}

/** Creates the parts of an agent, each from those before it. Nothing connects or listens yet. */
async function createParts(
  options: AgentOptions,
  logger: Logger,
  env: NodeJS.ProcessEnv,
  lookup: Lookup | undefined,
) {
  const metrics = new AgentMetrics();

  const files = new AgentFiles(options, logger, metrics.registry);
  const acceptor = new Acceptor({ options, logger, metrics, files, lookup });

  const proxies = new EgressProxies({ url: options.egressProxy, env });
  const identity = await AgentIdentity.open({ options, logger, metrics, proxies });

  const selector = new TransportSelector(transportChoices(options.transport));
  const tunnels = new ServerTunnels({
    options,
    logger,
    metrics,
    memory: new MemoryBudget(options.maxProcessWindow),
    lookup,
    isProxied: (endpoint) => proxies.for(endpoint) !== undefined,
    connect: (endpoint, serverName, signal) =>
      selector.connect(endpoint, files.tls, {
        timeoutMs: options.handshakeTimeout,
        signal,
        serverName,
        proxy: proxies.for(endpoint),
        grpcIdentity: options,
        tokenPath: options.serviceAccountTokenPath,
      }),
    onStream: (stream) => acceptor.accept(stream),
  });
  metrics.observeTunnels(tunnels);
  const leaseCount = options.countServerLeases
    ? await createLeaseCount(options, logger, metrics.registry, (count) =>
        tunnels.setLeaseCount(count),
      )
    : undefined;

  const admin = createAgentAdmin(options, logger, metrics, tunnels, identity);
  return { options, logger, tunnels, admin, files, identity, leaseCount };
}

/** Starts, drains and closes the parts of an agent, in order. The public functions need no `this`. */
class Agent implements FairleadAgent {
  addresses!: FairleadAgent['addresses'];
  ended = new Promise<never>(() => {});
  readonly #parts: Awaited<ReturnType<typeof createParts>>;

  constructor(parts: Awaited<ReturnType<typeof createParts>>) {
    this.#parts = parts;
  }

  /**
   * Binds the ports, joins if the agent has no certificate, and starts to connect.
   * @throws UsageError, StartupError; then the caller must call `close`
   */
  async start(): Promise<void> {
    const { admin, files, identity, leaseCount } = this.#parts;
    this.addresses = await admin.listen();
    files.ownPorts.add(this.addresses.health.port).add(this.addresses.admin.port);
    files.watchPolicy();
    leaseCount?.start();
    if (identity === undefined || (await identity.join())) {
      this.#connect();
      return;
    }
    const joined = identity.keepJoining().then((hasJoined) => hasJoined && this.#connect());
    this.ended = new Promise((_, reject) => joined.catch(reject));
    // The caller may ignore `ended`: its rejection must not count as unhandled.
    this.ended.catch(() => {});
  }

  get isReady(): boolean {
    return this.#parts.tunnels.readyCount > 0;
  }

  readonly describe = (): string => {
    const { readyCount, serverCount, streamCount } = this.#parts.tunnels;
    return `connected to ${readyCount} of ${counted(serverCount, 'server')}, ${counted(streamCount, 'stream')}`;
  };

  readonly reload = (): void => {
    this.#parts.files.check();
  };

  readonly drain = async (): Promise<void> => {
    const { options, logger, tunnels } = this.#parts;
    const untilMs = performance.now() + options.gracefulShutdownTimeout;
    const progress = logDraining(logger, untilMs, () => tunnels.streamCount);
    await tunnels.drain(options.gracefulShutdownTimeout);
    clearInterval(progress);
    const streams = tunnels.streamCount;
    if (streams > 0) logger.warn({ streams }, 'open streams are cut');
    await this.close();
  };

  readonly close = async (): Promise<void> => {
    const { tunnels, admin, files, identity, leaseCount } = this.#parts;
    identity?.close();
    const leasesClosed = leaseCount?.close();
    files.close();
    await tunnels.close();
    await Promise.all([admin.close(), leasesClosed]);
  };

  #connect(): void {
    const { files, tunnels, identity } = this.#parts;
    files.watchCertificates(identity);
    tunnels.start();
    void identity?.keepRenewed(() => files.check());
  }
}
