import type { AddressInfo } from 'node:net';
import { MemoryBudget } from '@fairlead/protocol';
import { completeOptions } from '@fairlead/runtime/options';
import { counted, type Logger } from '@fairlead/runtime/process';
import { createAgentAdmin } from './admin/agent-admin.ts';
import { AgentMetrics } from './admin/metrics.ts';
import { AgentFiles } from './agent-files.ts';
import { Credentials } from './connect/credentials.ts';
import { EgressProxies } from './connect/proxy/egress-proxy.ts';
import { TransportSelector, transportChoices } from './connect/transport-selection.ts';
import { AgentIdentity } from './identity/agent-identity.ts';
import { Lifecycle } from './lifecycle.ts';
import { type AgentOptions, agentOptions } from './options.ts';
import { createLeaseCount } from './servers/lease-count.ts';
import { ServerTunnels } from './servers/server-tunnels.ts';
import { Acceptor } from './streams/acceptor.ts';
import type { Lookup } from './streams/dial-target.ts';
import { PolicySource } from './streams/policy-source.ts';

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
  const options = completeOptions(agentOptions, given);
  const metrics = new AgentMetrics();

  const policies = new PolicySource(options);
  const acceptor = new Acceptor({ options, logger, metrics, policies, lookup });

  const proxies = new EgressProxies({ url: options.egressProxy, env });
  const identity = await AgentIdentity.open({ options, logger, metrics, proxies });
  const credentials = new Credentials(options, identity);

  const selector = new TransportSelector(transportChoices(options.transport));
  const tunnels = new ServerTunnels({
    options,
    logger,
    metrics,
    memory: new MemoryBudget(options.maxProcessWindow),
    lookup,
    isProxied: (endpoint) => proxies.for(endpoint) !== undefined,
    connect: (endpoint, serverName, signal) =>
      selector.connect(endpoint, credentials.tls, {
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

  const hasCertificate = () => identity?.isPresent !== false;
  const admin = createAgentAdmin(options, logger, metrics, tunnels, hasCertificate);
  const files = new AgentFiles(options, logger, metrics.registry, credentials, policies);
  const parts = { options, logger, policies, tunnels, admin, files, identity, leaseCount };
  const lifecycle = new Lifecycle(parts);
  try {
    const { addresses, ended } = await lifecycle.start();
    return {
      addresses,
      ended,
      get isReady() {
        return tunnels.readyCount > 0;
      },
      drain: () => lifecycle.drain(),
      describe: () =>
        `connected to ${tunnels.readyCount} of ${counted(tunnels.serverCount, 'server')}, ${counted(tunnels.streamCount, 'stream')}`,
      reload: () => files.check(),
      close: () => lifecycle.close(),
    };
  } catch (error) {
    await lifecycle.close();
    throw error;
  }
}
