import { kinds, kubernetesGroup, kubernetesOptions, optionsIn } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import { leaseNameOf } from '../cluster/server-leases.ts';
import type { ServerOptions } from '../options.ts';

const option = optionsIn(kubernetesGroup);

export const serverKubernetesOptions = {
  ...kubernetesOptions,
  'kubeconfig-qps': option(kinds.decimal(0, 100_000), {
    description:
      'Maximum number of agent tokens per second to verify with the Kubernetes API; 0 means 50',
    default: 0,
  }),
  'kubeconfig-burst': option(kinds.integer(0, 100_000), {
    description: 'The burst of --kubeconfig-qps; 0 means 100',
    default: 0,
  }),
  'enable-lease-controller': option(kinds.boolean, {
    description:
      'Publish this server as a Lease, count the servers by their Leases, and send agents the addresses in them',
    default: false,
  }),
  'lease-label': option(kinds.labels, {
    description: "Labels of the servers' Leases",
    default: { 'k8s-app': 'konnectivity-server' },
  }),
};

export function checkLease({ enableLeaseController, serverId }: ServerOptions): void {
  if (enableLeaseController && leaseNameOf(serverId) === undefined) {
    throw new UsageError(
      `--server-id=${serverId} cannot be part of a Lease's name: use lower-case letters, digits, "-" and "."`,
    );
  }
}
