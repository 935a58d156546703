import { type Logger, release } from '@fairlead/runtime/process';
import type { Registry } from 'prom-client';
import type { AgentOptions } from '../options.ts';

const METRIC_PREFIX = 'konnectivity_network_proxy_agent_';

/**
 * Counts the servers by their Leases, for `--count-server-leases`.
 * @param onCount called when the count is known, and when it changes
 * @throws UsageError if the options are not enough to reach the Kubernetes API
 */
export async function createLeaseCount(
  options: AgentOptions,
  logger: Logger,
  registry: Registry,
  onCount: (count: number) => void,
) {
  const { ApiClient, LeaseApi, LeaseWatch, leaseMetrics } = await import('@fairlead/kubernetes');
  const api = new ApiClient({
    kubeconfig: options.kubeconfig,
    userAgent: `fairlead-agent/${release.version}`,
    onStale: ({ message }) => logger.warn({ detail: message }, 'kubeconfig cannot be read again'),
  });
  const onRequest = leaseMetrics(registry, {
    totals: {
      list: `${METRIC_PREFIX}lease_lists_total`,
      watch: `${METRIC_PREFIX}lease_watches_total`,
    },
    latencies: { list: `${METRIC_PREFIX}lease_list_latency_seconds` },
  });
  const watch = new LeaseWatch({
    leases: new LeaseApi({ api, namespace: options.leaseNamespace, onRequest }),
    labelSelector: options.leaseLabel ?? options.leaseLabelSelector,
    logger,
    onChange: ({ length: servers }) => {
      // More likely a wrong label, or servers that do not renew, than a cluster without servers.
      if (servers === 0) {
        logger.warn('no server has a valid Lease, the last known count stays in use');
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
