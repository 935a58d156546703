import type { Lease } from '@fairlead/kubernetes';
import { formatHostPort, parseHostPort } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import { Counter, type Registry } from 'prom-client';
import type { ServerOptions } from '../options.ts';
import { version } from '../version.ts';
import { leaseNameOf } from './lease-name.ts';

/** As Konnectivity's: a server that is gone without a word is known to be after this. */
const durationSeconds = 30;
const renewIntervalMs = 15_000;

const prefix = 'konnectivity_network_proxy_server_';

/** Of a Lease: where its server waits for agents, `host:port`. */
const agentAddressKey = 'fairlead/agent-address';

/** What the Leases say of all servers together. */
interface LeasedServers {
  /** At least 1: this one. */
  readonly count: number;
  /** Of those that publish theirs, `host:port`. */
  readonly agentAddresses: readonly string[];
}

export interface ServerLeasesOptions {
  readonly options: ServerOptions;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Called when the servers are known, and whenever they are others. */
  onServers(servers: LeasedServers): void;
}

/** This server's Lease, and what the Leases of the others say. */
export interface ServerLeases {
  /** Begins to publish and to watch; returns at once. */
  start(): void;
  /** Deletes the Lease: this server takes nothing new any more. Never rejects. */
  withdraw(): Promise<void>;
  /** The same, and stops watching. */
  close(): Promise<void>;
}

/** @throws UsageError when the Kubernetes API cannot be asked with what was given */
export async function createServerLeases({
  options,
  logger,
  registry,
  onServers,
}: ServerLeasesOptions): Promise<ServerLeases> {
  const { ApiClient, LeaseApi, LeaseCuller, LeaseWatch, leaseMetrics, OwnLease } = await import(
    '@fairlead/kubernetes'
  );
  // A client of its own: renewals must not wait for a crowd of agents whose tokens are looked at.
  const api = new ApiClient({
    kubeconfig: options.kubeconfig,
    userAgent: `fairlead-server/${version}`,
    onStale: ({ message }) => logger.warn({ detail: message }, 'kubeconfig cannot be read again'),
  });
  const { leaseNamespace: namespace, leaseLabel: labels, advertiseAgentAddress } = options;
  const onRequest = leaseMetrics(registry, {
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
  const leases = new LeaseApi({ api, namespace, onRequest });
  const name = leaseNameOf(options.serverId) ?? '';
  const own = new OwnLease({
    leases,
    name,
    holder: options.serverId,
    durationSeconds,
    renewIntervalMs,
    labels,
    annotations: advertiseAgentAddress
      ? { [agentAddressKey]: formatHostPort(advertiseAgentAddress) }
      : {},
    logger,
  });
  let hasBeenSeen = false;
  let isWithdrawn = false;
  let told = '';
  const culler = new LeaseCuller({ leases, logger, onCulled: () => culled.inc() });
  const cull = () => void culler.cull(watch.expired);
  const watch = new LeaseWatch({
    leases,
    labelSelector: Object.entries(labels)
      .map((label) => label.join('='))
      .join(','),
    logger,
    onChange: (valid) => {
      // One that has just run out is deleted at once, those that were missed are when their time comes.
      cull();
      const others = valid.filter(({ metadata }) => metadata.name !== name);
      if (others.length < valid.length) hasBeenSeen = true;
      else if (hasBeenSeen && !isWithdrawn) own.renewSoon();
      const agentAddresses = others.map(agentAddressOf).filter((text) => text !== undefined);
      const servers = { count: others.length + 1, agentAddresses };
      const text = JSON.stringify(servers);
      if (text === told) return;
      told = text;
      logger.info(servers, 'servers by their leases');
      onServers(servers);
    },
  });
  let timer: NodeJS.Timeout | undefined;
  const withdraw = () => {
    isWithdrawn = true;
    return own.remove();
  };
  return {
    start: () => {
      own.start();
      watch.start();
      timer = setInterval(cull, renewIntervalMs).unref();
    },
    withdraw,
    close: async () => {
      clearInterval(timer);
      culler.close();
      await Promise.all([watch.close(), withdraw()]);
      api.close();
    },
  };
}

/** Whoever may write Leases may write nonsense. */
function agentAddressOf({ metadata }: Lease): string | undefined {
  const text = metadata.annotations?.[agentAddressKey];
  const address = text === undefined ? undefined : parseHostPort(text);
  return address && formatHostPort(address);
}
