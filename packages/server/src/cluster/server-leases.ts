import type { Lease, LeaseWatch } from '@fairlead/kubernetes';
import { formatHostPort, parseHostPort } from '@fairlead/runtime/net';
import { type Logger, release } from '@fairlead/runtime/process';
import { Counter, type Registry } from 'prom-client';
import type { ServerOptions } from '../options.ts';

/** As in Konnectivity: the Lease of a server that crashed expires after this. */
const durationSeconds = 30;
const renewIntervalMs = 15_000;

const prefix = 'konnectivity_network_proxy_server_';
const metricNames = {
  totals: { list: `${prefix}lease_list_total`, delete: `${prefix}lease_delete_total` },
  latencies: {
    list: `${prefix}lease_list_latency_seconds`,
    delete: `${prefix}lease_delete_latency_seconds`,
  },
};

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

/**
 * Publishes this server's Lease, and watches the Leases of the others.
 * @throws UsageError if the kubeconfig or the service account of this process cannot be used
 */
export async function createServerLeases(
  options: ServerOptions,
  logger: Logger,
  registry: Registry,
  onServers: OnServers,
) {
  const kubernetes = await import('@fairlead/kubernetes');
  const { leaseNamespace: namespace, leaseLabel: labels, advertiseAgentAddress } = options;
  const name = leaseNameOf(options.serverId) ?? '';
  // Not shared with token reviews, so that renewals do not wait behind many agents.
  const api = new kubernetes.ApiClient({
    kubeconfig: options.kubeconfig,
    userAgent: `fairlead-server/${release.version}`,
    onStale: ({ message }) => logger.warn({ detail: message }, 'kubeconfig cannot be read again'),
  });
  const onRequest = kubernetes.leaseMetrics(registry, metricNames);
  const leases = new kubernetes.LeaseApi({ api, namespace, onRequest });
  const annotations = advertiseAgentAddress && {
    [agentAddressKey]: formatHostPort(advertiseAgentAddress),
  };
  const own = new kubernetes.OwnLease({
    leases,
    name,
    holder: options.serverId,
    durationSeconds,
    renewIntervalMs,
    labels,
    annotations: annotations ?? {},
    logger,
  });
  const culled = new Counter({
    name: `${prefix}culled_leases_count`,
    help: 'Expired Leases of other servers that this one has deleted',
    registers: [registry],
  });
  const culler = new kubernetes.LeaseCuller({ leases, logger, onCulled: () => culled.inc() });
  const cull = () => void culler.cull(watch.expired);
  /** Whether the watch has shown this server's own Lease. */
  let isPublished = false;
  let isWithdrawn = false;
  const report = reportChanges(logger, onServers);
  const watch: LeaseWatch = new kubernetes.LeaseWatch({
    leases,
    labelSelector: Object.entries(labels)
      .map((label) => label.join('='))
      .join(','),
    logger,
    onChange: (valid) => {
      // A Lease that has just expired is deleted at once; the timer finds the others.
      cull();
      const others = valid.filter(({ metadata }) => metadata.name !== name);
      if (others.length < valid.length) isPublished = true;
      else if (isPublished && !isWithdrawn) own.renewSoon();
      report(others);
    },
  });
  let timer: NodeJS.Timeout | undefined;
  /** Deletes this server's Lease, so that agents go to other servers. Never rejects. */
  const withdraw = (): Promise<void> => {
    isWithdrawn = true;
    return own.remove();
  };
  return {
    /** Begins to publish and to watch; returns at once. */
    start: () => {
      own.start();
      watch.start();
      timer = setInterval(cull, renewIntervalMs).unref();
    },
    withdraw,
    /** Withdraws the Lease and stops watching. */
    close: async () => {
      clearInterval(timer);
      culler.close();
      await Promise.all([watch.close(), withdraw()]);
      api.close();
    },
  };
}

/** Reports the number and the addresses of servers if they differ from those reported before. */
function reportChanges(logger: Logger, onServers: OnServers) {
  let reported = '';
  return (others: readonly Lease[]): void => {
    const agentAddresses = others.map(agentAddressOf).filter((text) => text !== undefined);
    const servers = { count: others.length + 1, agentAddresses };
    const text = JSON.stringify(servers);
    if (text === reported) return;
    reported = text;
    logger.info(servers, 'servers by their leases');
    onServers(servers.count, agentAddresses);
  };
}

/** The annotation can be invalid: others can also write Leases. */
function agentAddressOf({ metadata }: Lease): string | undefined {
  const text = metadata.annotations?.[agentAddressKey];
  const address = text === undefined ? undefined : parseHostPort(text);
  return address && formatHostPort(address);
}
