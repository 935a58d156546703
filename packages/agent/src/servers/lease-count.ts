import type { Logger } from '@fairlead/runtime/process';
import type { Registry } from 'prom-client';
import type { AgentOptions } from '../options.ts';
import { version } from '../version.ts';

const prefix = 'konnectivity_network_proxy_agent_';

export interface LeaseCountOptions {
  readonly options: AgentOptions;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Called when it is known, and when it is another. */
  onCount(count: number): void;
}

/** How many servers there are, by their Leases. */
export interface LeaseCount {
  /** Begins to watch; returns at once. */
  start(): void;
  close(): Promise<void>;
}

/** @throws UsageError when the Kubernetes API cannot be asked with what was given */
export async function createLeaseCount(given: LeaseCountOptions): Promise<LeaseCount> {
  const { options, logger, registry, onCount } = given;
  const { ApiClient, LeaseApi, LeaseWatch, leaseMetrics } = await import('@fairlead/kubernetes');
  const api = new ApiClient({
    kubeconfig: options.kubeconfig,
    userAgent: `fairlead-agent/${version}`,
    onStale: ({ message }) => logger.warn({ detail: message }, 'kubeconfig cannot be read again'),
  });
  const onRequest = leaseMetrics(registry, {
    totals: { list: `${prefix}lease_lists_total`, watch: `${prefix}lease_watches_total` },
    latencies: { list: `${prefix}lease_list_latency_seconds` },
  });
  const watch = new LeaseWatch({
    leases: new LeaseApi({ api, namespace: options.leaseNamespace, onRequest }),
    labelSelector: options.leaseLabel ?? options.leaseLabelSelector,
    logger,
    onChange: ({ length: servers }) => {
      // No server at all is more likely a wrong label, or servers that do not renew, than the truth.
      if (servers === 0) {
        logger.warn('no server has a valid lease, the last count stays in force');
        return;
      }
      logger.info({ servers }, 'servers by their leases');
      onCount(servers);
    },
  });
  return {
    start: () => watch.start(),
    close: async () => {
      await watch.close();
      api.close();
    },
  };
}
