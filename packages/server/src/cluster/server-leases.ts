import type { Lease, LeaseCuller, LeaseWatch, OwnLease } from '@fairlead/kubernetes';
import { formatHostPort, parseHostPort } from '@fairlead/runtime/net';
import { type Logger, release } from '@fairlead/runtime/process';
import { Counter, type Registry } from 'prom-client';
import type { ServerOptions } from '../options.ts';

/** As in Konnectivity: the Lease of a server that crashed expires after this. */
const durationSeconds = 30;
const renewIntervalMs = 15_000;

const prefix = 'konnectivity_network_proxy_server_';

/** Annotation of a Lease: `host:port` at which agents reach its server. */
const agentAddressKey = 'fairlead/agent-address';

/** Called at first and after each change: `count` includes this server, the addresses are `host:port`. */
type OnServers = (count: number, agentAddresses: readonly string[]) => void;

/**
 * The name of a server's Lease, by which Konnectivity's servers and agents find it.
 * @returns undefined if the ID cannot be part of a name (RFC 1123 subdomain)
 */
export function leaseNameOf(serverId: string): string | undefined {
  const name = `konnectivity-proxy-server-${serverId}`;
  return name.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name) ? name : undefined;
}

/** Publishes this server's Lease, and watches the Leases of the others. */
export class ServerLeases {
  readonly #name: string;
  readonly #logger: Logger;
  readonly #onServers: OnServers;
  readonly #closeApi: () => void;
  readonly #own: OwnLease;
  readonly #culler: LeaseCuller;
  readonly #watch: LeaseWatch;
  #timer: NodeJS.Timeout | undefined;
  /** Whether the watch has shown this server's own Lease. */
  #isPublished = false;
  #isWithdrawn = false;
  #servers = '';

  /** @throws UsageError if the kubeconfig or the service account of this process cannot be used */
  static async create(
    options: ServerOptions,
    logger: Logger,
    registry: Registry,
    onServers: OnServers,
  ): Promise<ServerLeases> {
    const kubernetes = await import('@fairlead/kubernetes');
    return new ServerLeases(kubernetes, options, logger, registry, onServers);
  }

  private constructor(
    kubernetes: typeof import('@fairlead/kubernetes'),
    options: ServerOptions,
    logger: Logger,
    registry: Registry,
    onServers: OnServers,
  ) {
    const { leaseNamespace: namespace, leaseLabel: labels, advertiseAgentAddress } = options;
    this.#name = leaseNameOf(options.serverId) ?? '';
    this.#logger = logger;
    this.#onServers = onServers;
    // Not shared with token reviews, so that renewals do not wait behind many agents.
    const api = new kubernetes.ApiClient({
      kubeconfig: options.kubeconfig,
      userAgent: `fairlead-server/${release.version}`,
      onStale: ({ message }) => logger.warn({ detail: message }, 'kubeconfig cannot be read again'),
    });
    this.#closeApi = () => api.close();
    const onRequest = kubernetes.leaseMetrics(registry, {
      totals: { list: `${prefix}lease_list_total`, delete: `${prefix}lease_delete_total` },
      latencies: {
        list: `${prefix}lease_list_latency_seconds`,
        delete: `${prefix}lease_delete_latency_seconds`,
      },
    });
    const culled = new Counter({
      name: `${prefix}culled_leases_count`,
      help: 'Expired Leases of other servers that this one has deleted',
      registers: [registry],
    });
    const leases = new kubernetes.LeaseApi({ api, namespace, onRequest });
    const annotations = advertiseAgentAddress && {
      [agentAddressKey]: formatHostPort(advertiseAgentAddress),
    };
    this.#own = new kubernetes.OwnLease({
      leases,
      name: this.#name,
      holder: options.serverId,
      durationSeconds,
      renewIntervalMs,
      labels,
      annotations: annotations ?? {},
      logger,
    });
    this.#culler = new kubernetes.LeaseCuller({ leases, logger, onCulled: () => culled.inc() });
    this.#watch = new kubernetes.LeaseWatch({
      leases,
      labelSelector: Object.entries(labels)
        .map((label) => label.join('='))
        .join(','),
      logger,
      onChange: (valid) => this.#onChange(valid),
    });
  }

  /** Begins to publish and to watch; returns at once. */
  start(): void {
    this.#own.start();
    this.#watch.start();
    this.#timer = setInterval(() => this.#cull(), renewIntervalMs).unref();
  }

  /** Deletes this server's Lease, so that agents go to other servers. Never rejects. */
  withdraw(): Promise<void> {
    this.#isWithdrawn = true;
    return this.#own.remove();
  }

  /** Withdraws the Lease and stops watching. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#culler.close();
    await Promise.all([this.#watch.close(), this.withdraw()]);
    this.#closeApi();
  }

  #onChange(valid: readonly Lease[]): void {
    // A Lease that has just expired is deleted at once; the timer finds the others.
    this.#cull();
    const others = valid.filter(({ metadata }) => metadata.name !== this.#name);
    if (others.length < valid.length) this.#isPublished = true;
    else if (this.#isPublished && !this.#isWithdrawn) this.#own.renewSoon();
    const agentAddresses = others.map(agentAddressOf).filter((text) => text !== undefined);
    const servers = { count: others.length + 1, agentAddresses };
    const text = JSON.stringify(servers);
    if (text === this.#servers) return;
    this.#servers = text;
    this.#logger.info(servers, 'servers by their leases');
    this.#onServers(servers.count, agentAddresses);
  }

  #cull(): void {
    void this.#culler.cull(this.#watch.expired);
  }
}

/** The annotation can be invalid: others can also write Leases. */
function agentAddressOf({ metadata }: Lease): string | undefined {
  const text = metadata.annotations?.[agentAddressKey];
  const address = text === undefined ? undefined : parseHostPort(text);
  return address && formatHostPort(address);
}
