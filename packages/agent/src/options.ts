/** The options of fairlead-agent. If Konnectivity has an option, its name and meaning are the same. */
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
  nearestName,
  type OptionsOf,
  optionsIn,
  reloadOptions,
  tunnelOptions,
  warnOfLogDestination,
} from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import { defaultSuitesText } from '@fairlead/runtime/tls';

const serverOption = optionsIn('Server');
const identityOption = optionsIn('Identity');
const enrollmentOption = optionsIn('Enrollment (how the agent gets a certificate by itself)');
const policyOption = optionsIn('Policy (which targets the agent dials)');
const limitOption = optionsIn('Deadlines and limits');
const kubernetesOption = optionsIn(kubernetesGroup);
const healthOption = optionsIn('Health, metrics and admin');

export const agentOptions = defineOptions({
  program: 'fairlead-agent',
  summary: "fairlead-agent: dials out to a server and opens the server's streams to this network",
  options: {
    ...configOptions,

    'proxy-server-host': serverOption(kinds.list(kinds.host), {
      description: 'Hosts of the servers; the agent connects to each address of each host',
      default: ['127.0.0.1'],
    }),
    'proxy-server-port': serverOption(kinds.remotePort, {
      description: 'Port on which the servers listen for agents',
      default: 8091,
    }),
    'ca-cert': serverOption(kinds.filePath, {
      description: "CA certificates (PEM) that the servers' certificates are verified with",
      defaultText: "Node's list of public CAs",
    }),
    'server-name': serverOption(kinds.host, {
      description: "Name or IP address that the servers' certificates must be for",
      defaultText: 'the host that was dialed',
    }),
    transport: serverOption(kinds.oneOf('auto', 'tls', 'websocket', 'http2', 'grpc'), {
      description:
        "Transport of the tunnels; auto tries tls, websocket, http2, then grpc, the only one of Konnectivity's servers",
      default: 'auto',
    }),
    'egress-proxy': serverOption(kinds.httpUrl, {
      description: 'HTTP or HTTPS proxy for connections to servers',
      defaultText: 'HTTPS_PROXY and NO_PROXY',
    }),
    'cipher-suites': serverOption(kinds.list(kinds.cipherSuite), {
      description: "Cipher suites to offer, with Go's names",
      default: [],
      defaultText: defaultSuitesText,
    }),
    'tls-min-version': serverOption(kinds.tlsVersion, {
      description: 'Minimum TLS version: VersionTLS12 or VersionTLS13',
      default: 'VersionTLS13',
    }),

    'agent-cert': identityOption(kinds.filePath, {
      description: 'Certificate (PEM) that the agent shows to servers',
    }),
    'agent-key': identityOption(kinds.filePath, {
      description: 'Private key (PEM) of --agent-cert',
    }),
    'service-account-token-path': identityOption(kinds.filePath, {
      description: 'File with a token that the agent sends to servers, read for each connection',
    }),
    'agent-id': identityOption(kinds.identifier, {
      description: 'ID of this agent; must be unique',
      makeDefault: randomUUID,
      defaultText: 'a random UUID',
      env: ['PROXY_AGENT_ID'],
    }),
    'agent-identifiers': identityOption(kinds.text, {
      description:
        'What this agent serves, as a URL query: host=, ipv4=, ipv6=, cidr= (each may be repeated), default-route=true',
    }),

    'identity-dir': enrollmentOption(
      { ...kinds.filePath, placeholder: 'DIR' },
      {
        description:
          'Directory for the certificate that the agent gets by itself, its key, and the CA, instead of --agent-cert and --agent-key; created with mode 0700 if it is missing',
      },
    ),
    'enrollment-server': enrollmentOption(kinds.hostPort, {
      alias: 'enrolment-server',
      description:
        'Address of fairlead issuer, where the agent joins with a token and renews its certificate',
    }),
    'enrollment-ca-hash': enrollmentOption(kinds.list(kinds.caHash), {
      alias: 'enrolment-ca-hash',
      description:
        'Hash of the CA, as fairlead token create prints it; several while you replace a CA',
      default: [],
      defaultText: 'the issuer is verified with --ca-cert',
    }),
    'enrollment-token-file': enrollmentOption(kinds.filePath, {
      alias: 'enrolment-token-file',
      description: 'File with the token to join with; not needed after the agent has joined',
    }),
    'enrollment-token': enrollmentOption(kinds.text, {
      alias: 'enrolment-token',
      description: 'The token itself',
      secret: true,
      notAsFlag: 'use --enrollment-token-file or FAIRLEAD_ENROLLMENT_TOKEN',
    }),

    allow: policyOption(kinds.filledList(kinds.targetRule, noRule), {
      description:
        'Targets that the agent may dial, such as 10.0.0.0/8, [fd00::/8]:443, node-1, *.example:1-1023 or *:10250; if there is a rule, all other targets are denied',
      default: [],
      defaultText: 'all targets that are not denied',
    }),
    deny: policyOption(kinds.list(kinds.targetRule), {
      description:
        "Targets that the agent must not dial, written as for --allow; wins over --allow. Link-local and cloud metadata addresses are denied unless an --allow rule names them; the agent's own ports are always denied",
      default: [],
    }),
    'policy-file': policyOption(kinds.filePath, {
      description: 'YAML or JSON file with further rules, as lists allow and deny',
    }),

    'dial-timeout': limitOption(kinds.duration({ minMs: 1 }), {
      description: 'Timeout of a dial to a target, including name resolution',
      default: 5000,
    }),
    'handshake-timeout': limitOption(kinds.duration({ minMs: 1 }), {
      description: 'Timeout of one attempt to connect to a server',
      default: 10_000,
    }),
    'reconnect-min': limitOption(kinds.duration({ minMs: 10 }), {
      description:
        'First pause before the agent retries to connect to a server; doubles with each retry',
      default: 500,
    }),
    'reconnect-max': limitOption(kinds.duration({ minMs: 10 }), {
      description: 'Longest pause between retries to connect to a server',
      default: 30_000,
    }),

    'sync-interval': limitOption(kinds.duration({ minMs: 10 }), {
      description:
        'First pause before the agent connects to the configured hosts again because servers are missing (see --server-count of the server); grows each time',
      default: 500,
    }),
    'sync-interval-cap': limitOption(kinds.duration({ minMs: 10 }), {
      description: 'Longest pause between attempts to find missing servers',
      default: 5_000,
    }),
    'resolve-interval': limitOption(kinds.duration({ minMs: 10 }), {
      description: 'How often the names in --proxy-server-host are resolved again',
      default: 30_000,
    }),

    'health-server-port': healthOption(kinds.listenPort, {
      description: 'Port of /healthz, /readyz and /metrics; 0 lets the system choose one',
      default: 8093,
    }),
    'health-server-host': healthOption(kinds.host, {
      description: 'Address on which --health-server-port listens',
      defaultText: 'all',
    }),
    'admin-server-port': healthOption(kinds.listenPort, {
      description: 'Port of the admin server; 0 lets the system choose one',
      default: 8094,
    }),
    'admin-bind-address': healthOption(kinds.host, {
      description: 'Address on which --admin-server-port listens',
      default: '127.0.0.1',
    }),

    ...kubernetesOptions,
    'count-server-leases': kubernetesOption(kinds.boolean, {
      description: 'Count the servers by their Leases',
      default: false,
    }),
    'lease-label': kubernetesOption(kinds.text, {
      description:
        'The same as --lease-label-selector, with the name that newer releases of Konnectivity use; wins over it',
    }),
    'lease-label-selector': kubernetesOption(kinds.text, {
      description: "Label selector of the servers' Leases",
      default: 'k8s-app=konnectivity-server',
    }),
    'server-count-source': kubernetesOption(kinds.oneOf('default', 'max'), {
      description:
        'Source of the server count with --count-server-leases: default uses the number of Leases, max uses the higher of that number and the count that the servers send',
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
      description: 'Continue to search for servers',
      default: false,
      reason: 'servers notify their agents of changes',
    }),
    'probe-interval': ignoredOption(kinds.duration(), {
      description: 'How often the state of a connection is checked',
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
      warn(
        '--agent-cert and --agent-key are missing: servers that require a certificate will refuse the agent',
      );
    }
    warnOfIdentifiers(options.agentIdentifiers, warn);
    if (options.proxyServerHost.length === 0) {
      throw new UsageError('--proxy-server-host is empty. Set it to the host of a server');
    }
    const { healthServerPort, healthServerHost, adminServerPort, adminBindAddress } = options;
    checkDistinctPorts([
      { name: 'health-server-port', port: healthServerPort, address: healthServerHost },
      { name: 'admin-server-port', port: adminServerPort, address: adminBindAddress },
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

const identifierTypes = ['host', 'ipv4', 'ipv6', 'cidr', 'default-route'];

/** Servers ignore unknown types, and their warning is in another log. */
function warnOfIdentifiers(identifiers: string | undefined, warn: (text: string) => void): void {
  for (const [type, value] of new URLSearchParams(identifiers ?? '')) {
    if (identifierTypes.includes(type)) continue;
    const nearest = nearestName(type, identifierTypes);
    const cure = nearest ? `did you mean ${nearest}?` : `use ${identifierTypes.join(', ')}`;
    warn(`--agent-identifiers: ${type}=${value} has an unknown type and no effect: ${cure}`);
  }
}

function checkEnrollment(options: AgentOptions, warn: (text: string) => void): void {
  const { identityDir, enrollmentServer } = options;
  if (identityDir !== undefined && options.agentCert !== undefined) {
    throw new UsageError(
      '--identity-dir and --agent-cert are both set. Set --identity-dir if the agent gets its certificate by itself, else --agent-cert',
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
        `--enrollment-server is missing: ${given.join(' and ')} requires it. Set it to the address of fairlead issuer`,
      );
    }
    if (identityDir !== undefined) {
      warn('--enrollment-server is missing: the certificate in --identity-dir will not be renewed');
    }
    return;
  }
  if (identityDir === undefined) {
    throw new UsageError(
      '--identity-dir is missing: --enrollment-server requires it. Set it to a directory for key and certificate',
    );
  }
  if (options.enrollmentCaHash.length === 0 && options.caCert === undefined) {
    throw new UsageError(
      '--enrollment-ca-hash is missing: without it the agent cannot verify the issuer. Set it to the hash that fairlead token create prints, or set --ca-cert',
    );
  }
}
