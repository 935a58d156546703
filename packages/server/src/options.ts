/** Every option of fairlead-server, once. Names and meanings are Konnectivity's where it has them. */
import { randomUUID } from 'node:crypto';
import {
  checkDistinctPorts,
  checkPair,
  checkWindows,
  configOptions,
  defineOptions,
  ignoredOption,
  kinds,
  konnectivityOptions,
  kubernetesGroup,
  kubernetesOptions,
  logOptions,
  type OptionsOf,
  option,
  reloadOptions,
  tunnelOptions,
  warnOfLogDestination,
} from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import { defaultSuitesText } from '@fairlead/runtime/tls';
import { leaseNameOf } from './cluster/lease-name.ts';

const frontEnd = 'Front end (where kube-apiserver and other clients enter)';
const agents = 'Agents';
const routing = 'Routing';
const limits = 'Deadlines and limits';
const health = 'Health, metrics and admin';
const workers = 'Workers (several processes that share the ports)';

/** What HELLO can carry (spec 2.4). */
const MAX_ID_LENGTH = 255;
const MAX_SERVER_COUNT = 65_535;

/** As many as agents can be told the addresses of (spec 2.4). */
const MAX_WORKERS = 64;

export const serverOptions = defineOptions({
  program: 'fairlead-server',
  summary: 'fairlead-server: carries streams from a control plane to the agents that dialled in',
  options: {
    ...configOptions,

    'server-cert': option(kinds.filePath, {
      group: frontEnd,
      description: 'Certificate (PEM) that the front end shows to clients over TCP',
    }),
    'server-key': option(kinds.filePath, {
      group: frontEnd,
      description: 'Private key (PEM) of --server-cert',
    }),
    'server-ca-cert': option(kinds.filePath, {
      group: frontEnd,
      description: 'CA certificates (PEM) that sign the certificates of clients',
    }),
    'server-port': option(kinds.listenPort, {
      group: frontEnd,
      description: 'TCP port of the front end, with mutual TLS; 0 lets the system pick one',
      defaultText: '8090; with --uds-name none, and 0 means none too',
    }),
    'server-bind-address': option(kinds.host, {
      group: frontEnd,
      description: 'Address on which --server-port listens',
      defaultText: 'all',
    }),
    'uds-name': option(kinds.filePath, {
      group: frontEnd,
      description: 'Path of the Unix domain socket of the front end',
    }),
    'delete-existing-uds-file': option(kinds.boolean, {
      group: frontEnd,
      description: 'Replace a socket file that nobody listens on any more',
      default: true,
    }),
    'uds-takeover': option(kinds.boolean, {
      group: frontEnd,
      description: 'Take the socket over even from a process that still listens on it',
      default: false,
    }),
    'frontend-policy': option(kinds.filePath, {
      group: frontEnd,
      description: 'Policy file, YAML or JSON: which callers may reach which targets',
      defaultText: 'every caller may reach every target',
    }),
    mode: option(kinds.oneOf('grpc', 'http-connect'), {
      group: frontEnd,
      description: 'Serve only this protocol',
      defaultText: 'both, told apart by the first bytes',
    }),

    'cluster-cert': option(kinds.filePath, {
      group: agents,
      description: 'Certificate (PEM) that the server shows to agents',
    }),
    'cluster-key': option(kinds.filePath, {
      group: agents,
      description: 'Private key (PEM) of --cluster-cert',
    }),
    'cluster-ca-cert': option(kinds.filePath, {
      group: agents,
      description:
        'CA certificates (PEM) that sign the certificates of agents; may be left out where tokens say who agents are',
    }),
    'agent-port': option(kinds.listenPort, {
      group: agents,
      description: 'Port for agents, every transport on the same one; 0 lets the system pick one',
      default: 8091,
    }),
    'agent-bind-address': option(kinds.host, {
      group: agents,
      description: 'Address on which --agent-port listens',
      defaultText: 'all',
    }),
    'agent-authorization': option(kinds.oneOf('off', 'audit', 'enforce'), {
      group: agents,
      description:
        'Whether an agent may claim only what its certificate or token covers: audit logs and counts uncovered claims, enforce refuses them',
      default: 'audit',
    }),

    'tls-ticket-key-file': option(kinds.filePath, {
      group: agents,
      description:
        'Secret of at least 32 bytes, the same on all servers, so that agents resume TLS sessions on any of them; read again when it changes',
      defaultText: 'a random one for each process',
    }),
    'agent-denylist': option(kinds.filePath, {
      group: agents,
      description:
        'File of agent certificates, and nodes of tokens, that are not taken any more: lines serial:HEX, sha256:HEX, cn:NAME or node:NAME',
    }),
    'agent-namespace': option(kinds.text, {
      group: agents,
      description:
        'Namespace of the service account whose tokens agents must show; with --agent-service-account and --authentication-audience',
    }),
    'agent-service-account': option(kinds.text, {
      group: agents,
      description: 'Name of that service account',
    }),
    'authentication-audience': option(kinds.text, {
      group: agents,
      description: 'Audience that the tokens must be for',
    }),

    'cipher-suites': option(kinds.list(kinds.cipherSuite), {
      group: 'TLS',
      description: "Cipher suites for all TLS listeners, by Go's names",
      default: [],
      defaultText: defaultSuitesText,
    }),
    'tls-min-version': option(kinds.tlsVersion, {
      group: 'TLS',
      description: 'Least TLS version that the listeners take: VersionTLS12 or VersionTLS13',
      default: 'VersionTLS12',
    }),

    'server-id': option(kinds.identifier, {
      group: routing,
      description: 'Name of this server towards agents; must differ from server to server',
      makeDefault: randomUUID,
      defaultText: 'a random UUID',
      env: ['PROXY_SERVER_ID'],
    }),
    'server-count': option(kinds.integer(1, 10_000), {
      group: routing,
      description:
        'How many servers an agent should be connected to; with --enable-lease-controller only until the Leases are known',
      default: 1,
    }),
    'proxy-strategies': option(
      kinds.list(kinds.oneOf('destHost', 'destCIDR', 'defaultRoute', 'default')),
      {
        group: routing,
        description:
          'How an agent is picked for a target; the first strategy that finds one decides',
        default: ['default'],
      },
    ),

    'advertise-agent-address': option(kinds.hostPort, {
      group: routing,
      description:
        "This server's own address for agents, which agents are told to dial; other servers learn it from this one's Lease. With --workers, its host is told with the port of each worker (--worker-agent-port)",
    }),
    'peers-file': option(kinds.filePath, {
      group: routing,
      description:
        'YAML or JSON list of HOST:PORT, one for each server, which agents are told to dial; read again when it changes',
    }),

    'backend-dial-timeout': option(kinds.duration({ zeroIsNever: true }), {
      group: limits,
      description: 'How long a dial through an agent may take; 0 is no limit',
      default: 30_000,
    }),
    'half-close-timeout': option(kinds.duration({ minMs: 1 }), {
      group: limits,
      description:
        "How long a stream through a Konnectivity agent may be idle with one side ended; that agent's protocol knows no half-close",
      default: 60_000,
    }),
    'handshake-timeout': option(kinds.duration({ minMs: 1 }), {
      group: limits,
      description: 'How long a TLS handshake may take, on every port',
      default: 10_000,
    }),
    'head-timeout': option(kinds.duration({ minMs: 1 }), {
      group: limits,
      description: 'How long a client may take for its first byte and for a whole request head',
      default: 10_000,
    }),
    'max-head-bytes': option(kinds.byteSize(1024, 1024 ** 2), {
      group: limits,
      description: 'Longest request head that is read',
      default: 16 * 1024,
    }),

    'shutdown-delay': option(kinds.duration(), {
      group: limits,
      description:
        'How long after SIGTERM or SIGINT the server still takes new streams, so that those who watch /readyz can turn away first; nothing if nobody asked for it within a minute',
      default: 3_000,
    }),
    'agents-settle-time': option(kinds.duration(), {
      group: limits,
      description:
        'A server that has started is ready when no further agent has come for this long',
      default: 3_000,
    }),
    'agents-settle-timeout': option(kinds.duration(), {
      group: limits,
      description: 'At the latest, it is ready this long after the first agent',
      default: 30_000,
    }),
    'max-streams': option(kinds.integer(1, 10_000_000), {
      group: limits,
      description: 'Most streams at once, dialling or open',
      default: 50_000,
    }),
    'max-streams-per-caller': option(kinds.integer(1, 10_000_000), {
      group: limits,
      description: 'Most streams of one caller; all callers over --uds-name are one',
      default: 50_000,
    }),
    'max-pending-dials': option(kinds.integer(1, 10_000_000), {
      group: limits,
      description: 'Most streams that wait for their agents at once',
      default: 10_000,
    }),
    'max-opens-per-second': option(kinds.integer(1, 10_000_000), {
      group: limits,
      description: 'Streams that one caller may open in a second; twice as many at once',
      default: 20_000,
    }),
    'max-tunnel-bandwidth': option(kinds.byteSize(1024, Number.MAX_SAFE_INTEGER), {
      group: limits,
      description: 'Most payload bytes a second of one tunnel, in each direction',
      defaultText: 'no limit',
    }),
    'max-handshakes': option(kinds.integer(1, 10_000_000), {
      group: limits,
      description:
        'Most connections on all TLS ports that have not proved who they are; beyond, the one that has waited longest is cut off',
      default: 4096,
    }),

    workers: option(kinds.integer(1, MAX_WORKERS), {
      group: workers,
      description:
        'How many processes serve the ports; to agents each is a server of its own, named by --server-id and its number. Limits hold for each worker, --max-process-window for all together',
      default: 1,
    }),
    'worker-agent-port': option(kinds.listenPort, {
      group: workers,
      description:
        "Port on which agents reach the first worker itself, the next one's is one higher, and so on; used with --advertise-agent-address only; 0 lets the system pick them",
      default: 0,
    }),
    'worker-timeout': option(kinds.duration({ minMs: 500 }), {
      group: workers,
      description: 'A worker that gives no sign of life for this long is killed and replaced',
      default: 10_000,
    }),

    'access-log': option(kinds.filePath, {
      group: health,
      description:
        'File to append one JSON line per stream to: caller, target, agent, bytes each way, duration, end; SIGHUP reopens it. Without it streams that end in order are told at --log-level=debug only',
    }),
    'health-port': option(kinds.listenPort, {
      group: health,
      description: 'Port of /healthz, /readyz and /metrics; 0 lets the system pick one',
      default: 8092,
    }),
    'health-bind-address': option(kinds.host, {
      group: health,
      description: 'Address on which --health-port listens',
      defaultText: 'all',
    }),
    'admin-port': option(kinds.listenPort, {
      group: health,
      description: 'Port of the admin server; 0 lets the system pick one',
      default: 8095,
    }),
    'admin-bind-address': option(kinds.host, {
      group: health,
      description: 'Address on which --admin-port listens',
      default: '127.0.0.1',
    }),

    ...kubernetesOptions,
    'kubeconfig-qps': option(kinds.decimal(0, 100_000), {
      group: kubernetesGroup,
      description: 'Tokens that the Kubernetes API is asked about in a second; 0 means 50',
      default: 0,
    }),
    'kubeconfig-burst': option(kinds.integer(0, 100_000), {
      group: kubernetesGroup,
      description: 'The same at once, after a pause; 0 means 100',
      default: 0,
    }),
    'enable-lease-controller': option(kinds.boolean, {
      group: kubernetesGroup,
      description:
        'Publish this server as a Lease, count the servers by theirs, and tell agents the addresses that they advertise',
      default: false,
    }),
    'lease-label': option(kinds.labels, {
      group: kubernetesGroup,
      description: "Labels of the servers' Leases",
      default: { 'k8s-app': 'konnectivity-server' },
    }),

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
    checkFrontEnd(options);
    checkDistinctPorts([
      { name: 'server-port', port: frontEndPort(options), address: options.serverBindAddress },
      { name: 'agent-port', port: options.agentPort, address: options.agentBindAddress },
      { name: 'health-port', port: options.healthPort, address: options.healthBindAddress },
      { name: 'admin-port', port: options.adminPort, address: options.adminBindAddress },
      ...workerAgentPorts(options),
    ]);
    checkWorkers(options);
    if (isGiven('worker-agent-port') && workerAgentPorts(options).length === 0) {
      warn('--worker-agent-port is not used without --workers and --advertise-agent-address');
    }
    checkStrategies(options);
    checkWindows(options);
    warnOfLogDestination(options, warn);
  },
});

/** The options of fairlead-server, parsed and checked. Durations in ms, sizes in bytes. */
export type ServerOptions = OptionsOf<typeof serverOptions>;

const defaultFrontEndPort = 8090;

/**
 * The TCP port of the front end: 0 lets the system pick one, undefined means that TCP stays closed.
 * Beside a UDS, TCP is opened only on request, and 0 is no request, as in Konnectivity.
 */
export function frontEndPort(
  options: Pick<ServerOptions, 'serverPort' | 'udsName'>,
): number | undefined {
  if (options.udsName === undefined) return options.serverPort ?? defaultFrontEndPort;
  return options.serverPort === 0 ? undefined : options.serverPort;
}

function checkFrontEnd(options: ServerOptions): void {
  const port = frontEndPort(options);
  if (port === undefined) return;
  const missing = [
    !options.serverCert && '--server-cert',
    !options.serverKey && '--server-key',
    !options.serverCaCert && '--server-ca-cert',
  ].filter(Boolean);
  if (missing.length > 0) {
    const cure =
      options.udsName === undefined ? ' or use --uds-name' : ' or leave --server-port out';
    throw new UsageError(
      `${missing.join(', ')} missing: the front end on port ${port} takes mutual TLS only; give the files${cure}`,
    );
  }
}

function checkAuthentication(options: ServerOptions): void {
  const needed = {
    '--agent-namespace': options.agentNamespace,
    '--agent-service-account': options.agentServiceAccount,
    '--authentication-audience': options.authenticationAudience,
  };
  const missing = Object.entries(needed)
    .filter(([, value]) => value === undefined)
    .map(([name]) => name);
  if (missing.length === 0) return;
  if (missing.length < Object.keys(needed).length) {
    throw new UsageError(
      `${missing.join(', ')} missing: tokens are judged by all of ${Object.keys(needed).join(', ')}`,
    );
  }
  if (!options.clusterCaCert) {
    throw new UsageError(
      '--cluster-ca-cert is missing: without it anyone could join as an agent; give the CA that signs agent certificates, or have tokens judged (--agent-namespace)',
    );
  }
}

function checkLease(options: ServerOptions): void {
  if (options.enableLeaseController && leaseNameOf(options.serverId) === undefined) {
    throw new UsageError(
      `--server-id=${options.serverId} cannot be part of a Lease's name: use lower-case letters, digits, "-" and "."`,
    );
  }
}

function checkStrategies(options: ServerOptions): void {
  if (options.proxyStrategies.length === 0) {
    throw new UsageError('--proxy-strategies is empty: give at least "default"');
  }
}

/** The port for agents that each worker has to itself, in their order; none when agents are not told of it. */
export function workerAgentPorts(
  options: Pick<
    ServerOptions,
    'workers' | 'workerAgentPort' | 'advertiseAgentAddress' | 'agentBindAddress'
  >,
): { readonly name: string; readonly port: number; readonly address: string | undefined }[] {
  const { workers: count, workerAgentPort, advertiseAgentAddress, agentBindAddress } = options;
  if (count === 1 || advertiseAgentAddress === undefined) return [];
  return Array.from({ length: count }, (_, index) => ({
    name: 'worker-agent-port',
    port: workerAgentPort === 0 ? 0 : workerAgentPort + index,
    address: agentBindAddress,
  }));
}

/** The name of a worker towards agents. */
export function workerServerId(serverId: string, worker: number): string {
  return `${serverId}-${worker}`;
}

function checkWorkers(options: ServerOptions): void {
  const { workers: count, serverId, serverCount } = options;
  if (count === 1) return;
  if (workerServerId(serverId, count).length > MAX_ID_LENGTH) {
    throw new UsageError('--server-id is too long for --workers, which add their numbers to it');
  }
  if (serverCount * count > MAX_SERVER_COUNT) {
    throw new UsageError(
      `--server-count times --workers is above ${MAX_SERVER_COUNT}, more than agents can be told`,
    );
  }
  if (workerAgentPorts(options).some(({ port }) => port > 65_535)) {
    throw new UsageError(`--worker-agent-port and the ${count - 1} ports above end beyond 65535`);
  }
}
