/** Flags that both of Konnectivity's programs have and that do nothing here, for tables to spread. */
import { ignoredOption } from './option.ts';
import { boolean, duration } from './option-kinds.ts';

const noProfiling = 'it is for Go programs; start node with --cpu-prof instead';

export const konnectivityOptions = {
  'keepalive-time': ignoredOption(duration(), {
    description: 'gRPC keepalive of the tunnel',
    default: 3_600_000,
    reason: 'liveness is --ping-interval and --ping-timeout',
  }),
  'enable-profiling': ignoredOption(boolean, {
    description: 'pprof on the admin port',
    default: false,
    reason: noProfiling,
  }),
  'enable-contention-profiling': ignoredOption(boolean, {
    description: 'Lock contention in pprof',
    default: false,
    reason: noProfiling,
  }),
  'warn-on-channel-limit': ignoredOption(boolean, {
    description: 'Warn when a Go channel is full',
    default: false,
    reason: 'there are no channels; Konnectivity deprecates it too',
  }),
};
