/** Every option of fairlead-agent, once. Names and meanings are Konnectivity's where it has them. */
import { randomUUID } from 'node:crypto';
import { noRule } from '@fairlead/runtime/net';
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

const server = 'Server';
const identity = 'Identity';
const enrollment = 'Enrollment (how the agent gets a certificate by itself)';
const policy = 'Policy (which targets the agent dials)';
const limits = 'Deadlines and limits';
const health = 'Health, metrics and admin';

export const agentOptions = defineOptions({
  program: 'fairlead-agent',
  summary: "fairlead-agent: dials out to a server and opens the server's streams to this network",
  options: {
    ...configOptions,

    'proxy-server-host': option(kinds.list(kinds.host), {
      group: server,
      description: 'Hosts of the servers to connect to; each address of each gets a tunnel',
      default: ['127.0.0.1'],
    }),
    'proxy-server-port': option(kinds.remotePort, {
      group: server,
      description: 'Port on which the servers wait for agents',
      default: 8091,
    }),
    'ca-cert': option(kinds.filePath, {
      group: server,
      description: "CA certificates (PEM) that sign the servers' certificates",
      defaultText: "Node's list of public CAs",
    }),
    'server-name': option(kinds.host, {
      group: server,
      description: "Name or address that the servers' certificates must carry",
      defaultText: 'the host that was dialled',
    }),
    transport: option(kinds.oneOf('auto', 'tls', 'websocket', 'http2', 'grpc'), {
      group: server,
      description:
        "How the tunnel is carried; auto tries tls, websocket, http2, and at last grpc, which Konnectivity's own servers speak",
      default: 'auto',
    }),
    'egress-proxy': option(kinds.httpUrl, {
      group: server,
      description: 'HTTP or HTTPS proxy to reach the servers through',
      defaultText: 'what HTTPS_PROXY and NO_PROXY say',
    }),
    'cipher-suites': option(kinds.list(kinds.cipherSuite), {
      group: server,
      description: "Cipher suites to offer, by Go's names",
      default: [],
      defaultText: defaultSuitesText,
    }),
    'tls-min-version': option(kinds.tlsVersion, {
      group: server,
      description: 'Least TLS version to speak: VersionTLS12 or VersionTLS13',
      default: 'VersionTLS13',
    }),

    'agent-cert': option(kinds.filePath, {
      group: identity,
      description: 'Certificate (PEM) that the agent shows to servers',
    }),
    'agent-key': option(kinds.filePath, {
      group: identity,
      description: 'Private key (PEM) of --agent-cert',
    }),
    'service-account-token-path': option(kinds.filePath, {
      group: identity,
      description: 'Token that the agent shows to servers, read anew for each connection',
    }),
    'agent-id': option(kinds.identifier, {
      group: identity,
      description: 'Name of this agent; must differ from agent to agent',
      makeDefault: randomUUID,
      defaultText: 'a random UUID',
      env: ['PROXY_AGENT_ID'],
    }),
    'agent-identifiers': option(kinds.text, {
      group: identity,
      description:
        'What this agent serves, as a URL query: host=, ipv4=, ipv6=, cidr= (each may be repeated), default-route=true',
    }),

    'identity-dir': option(
      { ...kinds.filePath, placeholder: 'DIR' },
      {
        group: enrollment,
        description:
          'Directory for a certificate that the agent gets by itself, its key, and the CA, in the place of --agent-cert and --agent-key; made with mode 0700 if it is missing',
      },
    ),
    'enrollment-server': option(kinds.hostPort, {
      group: enrollment,
      alias: 'enrolment-server',
      description:
        'Where fairlead issuer listens: there the agent joins with a token, and renews its certificate',
    }),
    'enrollment-ca-hash': option(kinds.list(kinds.caHash), {
      group: enrollment,
      alias: 'enrolment-ca-hash',
      description:
        'Hash of the CA, as fairlead token create prints it; several while a CA is replaced',
      default: [],
      defaultText: '--ca-cert is what the issuer is verified by',
    }),
    'enrollment-token-file': option(kinds.filePath, {
      group: enrollment,
      alias: 'enrolment-token-file',
      description:
        'File with the token to join with; not needed any more once the agent has joined',
    }),
    'enrollment-token': option(kinds.text, {
      group: enrollment,
      alias: 'enrolment-token',
      description: 'The token itself',
      secret: true,
      notAsFlag: 'use --enrollment-token-file or FAIRLEAD_ENROLLMENT_TOKEN',
    }),

    allow: option(kinds.filledList(kinds.targetRule, noRule), {
      group: policy,
      description:
        'Targets that may be dialled, as 10.0.0.0/8, [fd00::/8]:443, node-1, *.example:1-1023 or *:10250; with any such rule all others are denied',
      default: [],
      defaultText: 'all but what is denied',
    }),
    deny: option(kinds.list(kinds.targetRule), {
      group: policy,
      description:
        'Targets that may not be dialled, written as for --allow; wins over --allow. Link-local and cloud metadata addresses are denied unless an --allow rule is about them, the ports of the agent itself always',
      default: [],
    }),
    'policy-file': option(kinds.filePath, {
      group: policy,
      description: 'File, YAML or JSON, with lists allow and deny of further rules',
    }),

    'dial-timeout': option(kinds.duration({ minMs: 1 }), {
      group: limits,
      description: 'How long a dial to a target may take, name resolution included',
      default: 5000,
    }),
    'handshake-timeout': option(kinds.duration({ minMs: 1 }), {
      group: limits,
      description: 'How long one attempt to connect to a server may take',
      default: 10_000,
    }),
    'reconnect-min': option(kinds.duration({ minMs: 10 }), {
      group: limits,
      description: 'First pause before another attempt to reach a server; doubles each time',
      default: 500,
    }),
    'reconnect-max': option(kinds.duration({ minMs: 10 }), {
      group: limits,
      description: 'Longest pause between attempts to reach a server',
      default: 30_000,
    }),

    'sync-interval': option(kinds.duration({ minMs: 10 }), {
      group: limits,
      description:
        'While servers are missing (see --server-count of the server): first pause before another look for them at the configured hosts; grows each time',
      default: 500,
    }),
    'sync-interval-cap': option(kinds.duration({ minMs: 10 }), {
      group: limits,
      description: 'Longest pause between looks for missing servers',
      default: 5_000,
    }),
    'resolve-interval': option(kinds.duration({ minMs: 10 }), {
      group: limits,
      description:
        'How often the names of servers are resolved anew; each address of a name is connected to',
      default: 30_000,
    }),

    'health-server-port': option(kinds.listenPort, {
      group: health,
      description: 'Port of /healthz, /readyz and /metrics; 0 lets the system pick one',
      default: 8093,
    }),
    'health-server-host': option(kinds.host, {
      group: health,
      description: 'Address on which --health-server-port listens',
      defaultText: 'all',
    }),
    'admin-server-port': option(kinds.listenPort, {
      group: health,
      description: 'Port of the admin server; 0 lets the system pick one',
      default: 8094,
    }),
    'admin-bind-address': option(kinds.host, {
      group: health,
      description: 'Address on which --admin-server-port listens',
      default: '127.0.0.1',
    }),

    ...kubernetesOptions,
    'count-server-leases': option(kinds.boolean, {
      group: kubernetesGroup,
      description: 'Count the servers by their Leases',
      default: false,
    }),
    'lease-label': option(kinds.text, {
      group: kubernetesGroup,
      description:
        'The same as --lease-label-selector, by the name that newer releases of Konnectivity give it; it wins',
    }),
    'lease-label-selector': option(kinds.text, {
      group: kubernetesGroup,
      description: 'Which Leases are those of servers, by their labels',
      default: 'k8s-app=konnectivity-server',
    }),
    'server-count-source': option(kinds.oneOf('default', 'max'), {
      group: kubernetesGroup,
      description:
        'How many servers there are with --count-server-leases: as many as have Leases, or, with max, as many as they say if that is more',
      default: 'default',
    }),

    ...tunnelOptions,

    ...reloadOptions,

    ...logOptions,

    ...konnectivityOptions,

    'alpn-proto': ignoredOption(kinds.list(kinds.text), {
      description: 'Further ALPN names to offer',
      default: [],
      reason: 'the ALPN name follows from --transport',
    }),
    'sync-forever': ignoredOption(kinds.boolean, {
      description: 'Go on looking for further servers',
      default: false,
      reason: 'servers that change tell their agents',
    }),
    'probe-interval': ignoredOption(kinds.duration(), {
      description: 'How often the state of a connection is looked at',
      default: 1000,
      reason: 'a lost tunnel is noticed at once',
    }),
    'xfr-channel-size': ignoredOption(kinds.integer(0, 2 ** 31 - 1), {
      description: 'Length of a Go channel',
      default: 150,
      reason: 'each stream has a window in bytes, see --max-stream-window',
    }),
  },

  check(options, { warn }) {
    checkPair(['agent-cert', options.agentCert], ['agent-key', options.agentKey]);
    checkEnrollment(options, warn);
    const hasIdentity = options.agentCert ?? options.identityDir ?? options.serviceAccountTokenPath;
    if (hasIdentity === undefined) {
      warn('--agent-cert and --agent-key are missing: servers that ask for them will refuse');
    }
    if (options.proxyServerHost.length === 0) {
      throw new UsageError('--proxy-server-host is empty: give the host of a server');
    }
    checkDistinctPorts([
      {
        name: 'health-server-port',
        port: options.healthServerPort,
        address: options.healthServerHost,
      },
      {
        name: 'admin-server-port',
        port: options.adminServerPort,
        address: options.adminBindAddress,
      },
    ]);
    if (options.reconnectMin > options.reconnectMax) {
      throw new UsageError('--reconnect-min must not be above --reconnect-max');
    }
    checkWindows(options);
    warnOfLogDestination(options, warn);
  },
});

/** The options of fairlead-agent, parsed and checked. Durations in ms, sizes in bytes. */
export type AgentOptions = OptionsOf<typeof agentOptions>;

function checkEnrollment(options: AgentOptions, warn: (text: string) => void): void {
  const { identityDir, enrollmentServer } = options;
  if (identityDir !== undefined && options.agentCert !== undefined) {
    throw new UsageError(
      '--identity-dir and --agent-cert are both given: give the one where the agent gets its certificate by itself, the other where you do',
    );
  }
  if (enrollmentServer === undefined) {
    const given = [
      options.enrollmentToken !== undefined && 'FAIRLEAD_ENROLLMENT_TOKEN',
      options.enrollmentTokenFile !== undefined && '--enrollment-token-file',
      options.enrollmentCaHash.length > 0 && '--enrollment-ca-hash',
    ].filter(Boolean);
    if (given.length > 0) {
      throw new UsageError(
        `--enrollment-server is missing: it goes with ${given.join(' and ')}; give the address of fairlead issuer`,
      );
    }
    if (identityDir !== undefined) {
      warn('--enrollment-server is missing: the certificate in --identity-dir will not be renewed');
    }
    return;
  }
  if (identityDir === undefined) {
    throw new UsageError(
      '--identity-dir is missing: it goes with --enrollment-server; give a directory to keep key and certificate in',
    );
  }
  if (options.enrollmentCaHash.length === 0 && options.caCert === undefined) {
    throw new UsageError(
      '--enrollment-ca-hash is missing: without it anyone could pass as the issuer; give the hash that fairlead token create prints, or --ca-cert',
    );
  }
}
