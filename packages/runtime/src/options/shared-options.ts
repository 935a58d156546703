/**
 * Options that several programs share, for their tables to spread. This module defines their names, limits
 * and texts only; what uses them is in server, agent and issuer.
 */
import { UsageError } from '../process/startup-error.ts';
import { boolean, byteSize, duration, filePath, integer, oneOf, text } from './option-kinds.ts';
import { ignoredOption, type OptionValues, option } from './option-table.ts';

export const configOptions = {
  config: option(filePath, {
    group: 'General',
    description: 'Configuration file in YAML or JSON; its keys are the names of the flags',
  }),
};

const noTextLog = 'logs are JSON lines without klog headers';
const oneDestination = 'the log goes to stderr or to --log-file only';

/** Our own log flags and klog's; logger.ts implements them. */
export const logOptions = {
  'log-level': option(oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal'), {
    group: 'Logging',
    description: 'Lowest level to log; overrides -v',
    defaultText: 'info',
  }),
  'log-format': option(oneOf('auto', 'json', 'text'), {
    group: 'Logging',
    description: 'Format of the lines: auto is text if stderr is a terminal, else JSON',
    default: 'auto',
  }),
  v: option(integer(0, 2 ** 31 - 1), {
    group: 'Logging',
    description: "klog's verbosity: 0 to 4 is info, 5 is debug, 6 and above is trace",
    default: 0,
    short: 'v',
  }),
  logtostderr: option(boolean, {
    group: 'Logging',
    description: 'Log to stderr; with --logtostderr=false, log to --log-file',
    default: true,
  }),
  'log-file': option(filePath, {
    group: 'Logging',
    description: 'File that the log is appended to, with --logtostderr=false; SIGHUP reopens it',
  }),
  ...klogIgnored({
    'log-file-max-size': [
      integer(0, Number.MAX_SAFE_INTEGER),
      'rotate the file with another tool, then send SIGHUP',
    ],
    'log-dir': [text, oneDestination],
    alsologtostderr: [boolean, oneDestination],
    'one-output': [boolean, oneDestination],
    stderrthreshold: [text, oneDestination],
    'add-dir-header': [boolean, noTextLog],
    'skip-headers': [boolean, noTextLog],
    'skip-log-headers': [boolean, noTextLog],
    'log-backtrace-at': [text, 'every error is logged with its stack'],
    vmodule: [text, '--log-level applies to the whole process'],
  }),
};

type IgnoredFlag = readonly [kind: Parameters<typeof ignoredOption<unknown>>[0], reason: string];

function klogIgnored<K extends string>(flags: Readonly<Record<K, IgnoredFlag>>) {
  const declared = Object.entries<IgnoredFlag>(flags).map(([name, [kind, reason]]) => [
    name,
    ignoredOption(kind, { description: 'a log flag of klog', reason }),
  ]);
  return Object.fromEntries(declared) as Record<K, ReturnType<typeof ignoredOption>>;
}

/** The heading of options about the Kubernetes API, including those of a single program. */
export const kubernetesGroup = 'Kubernetes API';

export const kubernetesOptions = {
  kubeconfig: option(filePath, {
    group: kubernetesGroup,
    description: 'kubeconfig file whose current context says how to reach the Kubernetes API',
    defaultText: "the pod's service account",
  }),
  'lease-namespace': option(text, {
    group: kubernetesGroup,
    description: "Namespace of the servers' Leases",
    default: 'kube-system',
  }),
  'kube-api-content-type': ignoredOption(text, {
    description: 'Encoding of requests to the Kubernetes API',
    default: 'application/vnd.kubernetes.protobuf',
    reason: 'requests are in JSON, and there are few of them',
  }),
};

const noProfiling = 'pprof is for Go programs; start node with --cpu-prof instead';

/** Options of both of Konnectivity's programs that have no effect here. */
export const konnectivityOptions = {
  'keepalive-time': ignoredOption(duration(), {
    description: 'gRPC keepalive of the tunnel',
    default: 3_600_000,
    reason: 'use --ping-interval and --ping-timeout',
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
    reason: 'there are no channels here; Konnectivity has deprecated it as well',
  }),
};

const limitsGroup = 'Deadlines and limits';
const kib = 1024;
const mib = 1024 ** 2;
const gib = 1024 ** 3;

/** The initial window of every stream (docs/spec.md); no limit can be below it. */
const firstWindowBytes = 64 * kib;
/** The credit in a frame is a 31-bit number. */
const greatestWindowBytes = 2 ** 31 - 1;

/** Options of both ends of a tunnel. */
export const tunnelOptions = {
  'ping-interval': option(duration({ minMs: 100 }), {
    group: limitsGroup,
    description: 'How long a tunnel may be silent before a ping is sent',
    default: 10_000,
  }),
  'ping-timeout': option(duration({ minMs: 100 }), {
    group: limitsGroup,
    description: 'How long a tunnel may stay silent after the ping before it is closed',
    default: 20_000,
  }),
  'stalled-stream-timeout': option(duration({ minMs: 1 }), {
    group: limitsGroup,
    description:
      "How long a stream may leave a full buffer of 1 MiB unread before it is reset; only in tunnels of Konnectivity's own protocol, where such a stream blocks all others",
    default: 5_000,
  }),
  'graceful-shutdown-timeout': option(duration(), {
    group: limitsGroup,
    description: 'How long open streams may continue after SIGTERM or SIGINT',
    default: 25_000,
  }),
  'max-streams-per-tunnel': option(integer(1, 1_000_000), {
    group: limitsGroup,
    description: 'Maximum number of concurrent streams in one tunnel',
    default: 20_000,
  }),
  'max-stream-window': option(byteSize(firstWindowBytes, greatestWindowBytes), {
    group: limitsGroup,
    description: 'Maximum number of bytes of one stream in flight towards this process',
    default: 16 * mib,
  }),
  'max-tunnel-window': option(byteSize(firstWindowBytes, Number.MAX_SAFE_INTEGER), {
    group: limitsGroup,
    description: 'Maximum total growth of the windows in one tunnel',
    default: 64 * mib,
  }),
  'max-process-window': option(byteSize(firstWindowBytes, Number.MAX_SAFE_INTEGER), {
    group: limitsGroup,
    description:
      'Memory limit of the process: for the growth of all windows, and as much again for bytes that peers do not read',
    default: gib,
  }),
};

export const reloadOptions = {
  'reload-interval': option(duration({ minMs: 100 }), {
    group: 'General',
    description:
      'How often certificates, keys, CA bundles and policies are checked for changes, besides file system events and SIGHUP',
    default: 10_000,
  }),
};

/** @throws UsageError unless stream <= tunnel <= process */
export function checkWindows({
  maxStreamWindow,
  maxTunnelWindow,
  maxProcessWindow,
}: OptionValues<typeof tunnelOptions>): void {
  if (maxStreamWindow > maxTunnelWindow) {
    throw new UsageError('--max-stream-window must not be above --max-tunnel-window');
  }
  if (maxTunnelWindow > maxProcessWindow) {
    throw new UsageError('--max-tunnel-window must not be above --max-process-window');
  }
}
