/** All options of fairlead-server. Names and meanings are Konnectivity's where it has them. */
import {
  checkDistinctPorts,
  checkPair,
  checkWindows,
  configOptions,
  defineOptions,
  ignoredOption,
  kinds,
  konnectivityOptions,
  logOptions,
  type OptionsOf,
  reloadOptions,
  tunnelOptions,
  warnOfLogDestination,
} from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import { adminOptions } from './options/admin-options.ts';
import { agentOptions, checkAuthentication, tlsOptions } from './options/agent-options.ts';
import { checkFrontEnd, frontEndOptions, frontEndPort } from './options/front-end-options.ts';
import { checkLease, serverKubernetesOptions } from './options/kubernetes-options.ts';
import { limitOptions } from './options/limit-options.ts';
import { checkStrategies, routingOptions } from './options/routing-options.ts';
import { checkWorkers, workerAgentPorts, workerOptions } from './options/worker-options.ts';

export { frontEndPort };

export const serverOptions = defineOptions({
  program: 'fairlead-server',
  summary: 'fairlead-server: carries streams from a control plane to the agents that connect to it',
  options: {
    ...configOptions,
    ...frontEndOptions,
    ...agentOptions,
    ...tlsOptions,
    ...routingOptions,
    ...limitOptions,
    ...workerOptions,
    ...adminOptions,
    ...serverKubernetesOptions,
    ...tunnelOptions,
    ...reloadOptions,
    ...logOptions,
    ...konnectivityOptions,
    'frontend-keepalive-time': ignoredOption(kinds.duration(), {
      description: 'gRPC keepalive towards clients',
      default: 3_600_000,
      reason: 'TCP keepalive is always on towards clients',
    }),
    'xfr-channel-size': ignoredOption(kinds.integer(0, 2 ** 31 - 1), {
      description: 'Length of a Go channel',
      default: 10,
      reason: 'each stream has a window in bytes, see --max-stream-window',
    }),
  },

  check(options, { isGiven, warn }) {
    checkPair(['server-cert', options.serverCert], ['server-key', options.serverKey]);
    checkPair(['cluster-cert', options.clusterCert], ['cluster-key', options.clusterKey]);
    if (!options.clusterCert) {
      throw new UsageError(
        '--cluster-cert and --cluster-key are missing: give the certificate for the agent port',
      );
    }
    checkAuthentication(options);
    checkLease(options);
    if (isGiven('kubeconfig') && !options.agentNamespace && !options.enableLeaseController) {
      warn(
        '--kubeconfig has no effect: it is for token authentication (--agent-namespace) and --enable-lease-controller',
      );
    }
    checkFrontEnd(options, warn);
    checkDistinctPorts([
      { name: 'server-port', port: frontEndPort(options), address: options.serverBindAddress },
      { name: 'agent-port', port: options.agentPort, address: options.agentBindAddress },
      { name: 'health-port', port: options.healthPort, address: options.healthBindAddress },
      { name: 'admin-port', port: options.adminPort, address: options.adminBindAddress },
      ...workerAgentPorts(options),
    ]);
    checkWorkers(options);
    if (isGiven('worker-agent-port') && workerAgentPorts(options).length === 0) {
      warn('--worker-agent-port has no effect without --workers and --advertise-agent-address');
    }
    checkStrategies(options);
    checkWindows(options);
    warnOfLogDestination(options, warn);
  },
});

/** The options of fairlead-server, parsed and checked. Durations in ms, sizes in bytes. */
export type ServerOptions = OptionsOf<typeof serverOptions>;
