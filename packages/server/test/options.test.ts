import { parseOptions } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import { frontEndPort, serverOptions } from '@fairlead/server/options';
import t from 'tap';

const parse = (...argv: string[]) => parseOptions(serverOptions, { argv, env: {} });

const cluster = ['--cluster-cert=c', '--cluster-key=k', '--cluster-ca-cert=ca'];
const uds = ['--uds-name=/run/x.sock'];
const frontEnd = ['--server-cert=c', '--server-key=k', '--server-ca-cert=ca'];

function complaint(...argv: string[]): string {
  try {
    parse(...argv);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return 'no complaint';
}

t.test('accepts the arguments of a Konnectivity manifest', async (t) => {
  // kubernetes.io, "Set up Konnectivity service".
  const { options, warnings } = parse(
    ...['--logtostderr=true', '--uds-name=/etc/kubernetes/konnectivity-server/x.socket'],
    ...[
      '--delete-existing-uds-file',
      '--cluster-cert=/c',
      '--cluster-key=/k',
      '--agent-namespace=kube-system',
      '--agent-service-account=konnectivity-agent',
      '--authentication-audience=system:konnectivity-server',
    ],
    ...['--server-port=0', '--agent-port=8132', '--admin-port=8133', '--health-port=8134'],
    ...['--keepalive-time=1h', '--v=4', '--kubeconfig=/etc/kubernetes/konnectivity-server.conf'],
    ...['--mode=http-connect', '--xfr-channel-size=10', '--enable-profiling=false'],
  );
  t.match(options, {
    ...{ agentPort: 8132, adminPort: 8133, healthPort: 8134, v: 4, clusterCaCert: undefined },
    ...{ agentNamespace: 'kube-system', agentServiceAccount: 'konnectivity-agent' },
    kubeconfig: '/etc/kubernetes/konnectivity-server.conf',
  });
  t.equal(frontEndPort(options), undefined);
  t.same(
    warnings.map((warning) => warning.split(' ')[0]).sort(),
    ['--enable-profiling', '--keepalive-time', '--xfr-channel-size'],
    'one line for each flag that does nothing',
  );
});

t.test('has the documented defaults', async (t) => {
  const { options } = parse(...cluster, ...frontEnd);
  t.match(options, {
    agentPort: 8091,
    adminPort: 8095,
    adminBindAddress: '127.0.0.1',
    healthPort: 8092,
    mode: undefined,
    deleteExistingUdsFile: true,
    serverCount: 1,
    proxyStrategies: ['default'],
    backendDialTimeout: 30_000,
    gracefulShutdownTimeout: 25_000,
    agentAuthorization: 'audit',
    pingInterval: 10_000,
    pingTimeout: 20_000,
    maxHeadBytes: 16_384,
    maxStreamWindow: 16_777_216,
    maxTunnelWindow: 67_108_864,
    maxProcessWindow: 1_073_741_824,
    maxStreams: 50_000,
    maxStreamsPerCaller: 50_000,
    maxStreamsPerTunnel: 20_000,
    maxPendingDials: 10_000,
    maxOpensPerSecond: 20_000,
    maxHandshakes: 4096,
    frontendPolicy: undefined,
    agentDenylist: undefined,
    reloadInterval: 10_000,
  });
  t.match(options.serverId, /^[0-9a-f-]{36}$/);
});

t.test('opens the TCP front end without --uds-name, or if --server-port is set', async (t) => {
  const port = (...argv: string[]) => frontEndPort(parse(...cluster, ...argv).options);
  t.equal(port(...frontEnd), 8090);
  t.equal(port(...frontEnd, '--server-port=0'), 0, 'the system picks');
  t.equal(port(...frontEnd, '--server-port=1234'), 1234);
  t.equal(port(...uds), undefined);
  t.equal(port(...uds, '--server-port=0'), undefined);
  t.equal(port(...uds, ...frontEnd, '--server-port=1234'), 1234);
});

t.test('refuses options that are insecure or cannot work', async (t) => {
  const ownPorts = ['--workers=2', '--advertise-agent-address=10.0.0.1:8091'];
  const complaints: readonly [string[], RegExp][] = [
    [[...uds], /^--cluster-cert and --cluster-key are missing: /],
    [
      [...uds, '--cluster-cert=c', '--cluster-key=k'],
      /^--cluster-ca-cert is missing: without it anyone/,
    ],
    [[...uds, '--cluster-cert=c'], /^--cluster-key is missing: --cluster-cert needs it$/],
    [[...uds, '--cluster-key=k'], /^--cluster-cert is missing: --cluster-key needs it$/],
    [[...uds, ...cluster, '--server-cert=c'], /^--server-key is missing: --server-cert needs it$/],
    [[...cluster], /^--server-cert, --server-key, --server-ca-cert missing: .* or use --uds-name$/],
    [
      [...cluster, '--server-cert=c', '--server-key=k'],
      /^--server-ca-cert missing: the front end on port 8090 takes mutual TLS only; /,
    ],
    [[...uds, ...cluster, '--server-port=1'], /or leave --server-port out$/],
    [
      [...uds, ...cluster, '--agent-port=8092'],
      /^--agent-port and --health-port are both 8092: use two different ports$/,
    ],
    [
      [...cluster, ...frontEnd, '--admin-port=8090'],
      /^--server-port and --admin-port are both 8090/,
    ],
    [[...uds, ...cluster, '--max-stream-window=128MiB'], /^--max-stream-window must not be above/],
    [[...uds, ...cluster, '--max-tunnel-window=2GiB'], /^--max-tunnel-window must not be above/],
    [[...uds, ...cluster, '--workers=0'], /^--workers: "0" is not a whole number from 1 to 64$/],
    [
      [...uds, ...cluster, '--workers=8', '--server-count=10000'],
      /^--server-count times --workers is above 65535/,
    ],
    [
      [...uds, ...cluster, '--workers=10', `--server-id=${'x'.repeat(253)}`],
      /^--server-id is too long for --workers/,
    ],
    [
      [...uds, ...cluster, ...ownPorts, '--worker-agent-port=8091'],
      /^--agent-port and --worker-agent-port are both 8091/,
    ],
    [
      [...uds, ...cluster, ...ownPorts, '--worker-agent-port=65535'],
      /^--worker-agent-port and the 1 ports above end beyond 65535$/,
    ],
    [[...uds, ...cluster, '--proxy-strategies=dest'], /^--proxy-strategies: "dest" is none of/],
  ];
  for (const [argv, expected] of complaints) t.match(complaint(...argv), expected, argv.join(' '));
});

t.test('accepts the same port on two addresses, and several ephemeral ports', async (t) => {
  const { options } = parse(
    ...[...uds, ...cluster, '--agent-bind-address=10.0.0.1', '--agent-port=8095'],
    ...['--health-port=0'],
  );
  t.equal(options.agentPort, 8095);
  t.equal(parse(...uds, ...cluster, '--agent-port=0', '--health-port=0').options.agentPort, 0);
});

const tokens = [
  '--agent-namespace=kube-system',
  '--agent-service-account=agent',
  '--authentication-audience=servers',
];

t.test('requires a CA for agents, token authentication, or both', async (t) => {
  const [cert = '', key = ''] = cluster;
  t.match(complaint(...uds, cert, key), /^--cluster-ca-cert is missing: .* \(--agent-namespace\)$/);
  t.equal(complaint(...uds, cert, key, ...tokens), 'no complaint');
  t.equal(complaint(...uds, ...cluster, ...tokens), 'no complaint');
  for (const flag of tokens) {
    const [name = ''] = flag.split('=');
    const others = tokens.filter((other) => other !== flag);
    const expected = `${name} missing: token authentication needs all of --agent-namespace, --agent-service-account, --authentication-audience`;
    t.equal(complaint(...uds, ...cluster, ...others), expected);
    t.equal(complaint(...uds, ...cluster, ...others, `${name}=`), expected);
  }
  t.match(parse(...uds, ...cluster, ...tokens, '--kubeconfig-qps=2.5').options, {
    kubeconfigQps: 2.5,
    kubeconfigBurst: 0,
  });
  t.match(parse(...uds, ...cluster, '--kubeconfig=/k').warnings, [/^--kubeconfig has no effect/]);
});

t.test('checks the options of Leases', async (t) => {
  const { options, warnings } = parse(
    ...[...uds, ...cluster, '--enable-lease-controller', '--kubeconfig=/k', '--server-id=a.b-1'],
    '--lease-label=k8s-app=konnectivity-server,tier=control-plane',
  );
  t.match(options, {
    enableLeaseController: true,
    leaseNamespace: 'kube-system',
    leaseLabel: { 'k8s-app': 'konnectivity-server', tier: 'control-plane' },
  });
  t.same(warnings, []);
  t.match(parse(...uds, ...cluster).options, {
    enableLeaseController: false,
    leaseLabel: { 'k8s-app': 'konnectivity-server' },
  });
  t.match(
    complaint(...uds, ...cluster, '--lease-label=k8s-app'),
    /^--lease-label: "k8s-app" is not KEY=VALUE/,
  );
  for (const id of ['Node_1', `x${'y'.repeat(240)}`, 'ends-with-']) {
    const given = [...uds, ...cluster, `--server-id=${id}`];
    t.match(complaint(...given, '--enable-lease-controller'), /cannot be part of a Lease's name/);
    t.equal(complaint(...given), 'no complaint');
  }
});

t.test('warns about flags that have no effect', async (t) => {
  t.match(parse(...uds, ...cluster, '--log-file=/x').warnings, [/--logtostderr=false/]);
  t.match(parse(...uds, ...cluster, '--logtostderr=false').warnings, [/goes to stderr/]);
  t.same(parse(...uds, ...cluster, '--mode=grpc').warnings, []);
});

t.test('reads the server ID from PROXY_SERVER_ID', async (t) => {
  const env = { PROXY_SERVER_ID: 'one' };
  t.equal(parseOptions(serverOptions, { argv: [...uds, ...cluster], env }).options.serverId, 'one');
});

t.test('warns if --uds-name leaves the TCP files without a port', async (t) => {
  const files = ['--server-cert=c', '--server-key=k', '--server-ca-cert=a'];
  const warning = /^--server-cert and --server-ca-cert have no effect: .*--server-port/;
  t.match(parse(...uds, ...cluster, ...files).warnings, [warning]);
  t.same(parse(...uds, ...cluster, ...files, '--server-port=0').warnings, []);
  t.same(parse(...uds, ...cluster, ...files, '--server-port=8090').warnings, []);
});
