import { join } from 'node:path';
import { agentOptions } from '@fairlead/agent/options';
import { parseOptions } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import t from 'tap';

const identity = ['--agent-cert=c', '--agent-key=k'];
const parse = (...argv: string[]) =>
  parseOptions(agentOptions, { argv: [...identity, ...argv], env: {} });

function complaint(...argv: string[]): string {
  try {
    parse(...argv);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return 'no complaint';
}

// Some manifests contain a variable that is not expanded. The agent must start, and warns later.
const unexpanded = `host=node1&ipv4=${'$'}{HOST_IP}&default-route=true`;

t.test('accepts the arguments of a Konnectivity manifest', async (t) => {
  const { options, warnings } = parse(
    ...['--logtostderr=true', '--ca-cert=/ca', '--proxy-server-host=35.225.206.7'],
    ...['--proxy-server-port=8132', '--admin-server-port=8133', '--health-server-port=8134'],
    ...[`--agent-identifiers=${unexpanded}`, '-v=4'],
    ...['--sync-interval=5s', '--sync-interval-cap=30s', '--sync-forever', '--probe-interval=5s'],
    ...['--keepalive-time=30s', '--alpn-proto=konnectivity'],
  );
  t.match(options, {
    proxyServerHost: ['35.225.206.7'],
    proxyServerPort: 8132,
    adminServerPort: 8133,
    healthServerPort: 8134,
    agentIdentifiers: unexpanded,
    syncInterval: 5000,
    syncIntervalCap: 30_000,
  });
  t.equal(warnings.length, 4, 'one line for each flag without effect');
});

t.test('has the documented defaults', async (t) => {
  const { options } = parse();
  t.match(options, {
    proxyServerHost: ['127.0.0.1'],
    proxyServerPort: 8091,
    healthServerPort: 8093,
    adminServerPort: 8094,
    adminBindAddress: '127.0.0.1',
    transport: 'auto',
    dialTimeout: 5000,
    reconnectMin: 500,
    reconnectMax: 30_000,
    gracefulShutdownTimeout: 25_000,
    serverName: undefined,
    egressProxy: undefined,
    allow: [],
    deny: [],
    policyFile: undefined,
    maxStreamsPerTunnel: 20_000,
  });
  t.match(options.agentId, /^[0-9a-f-]{36}$/);
});

t.test('PROXY_AGENT_ID sets the agent ID', async (t) => {
  const env = { PROXY_AGENT_ID: 'node1' };
  t.equal(parseOptions(agentOptions, { argv: identity, env }).options.agentId, 'node1');
});

t.test('accepts several servers by name and address', async (t) => {
  const { options } = parse(
    '--proxy-server-host=a.example,[fd00::1]',
    '--proxy-server-host=10.0.0.1',
  );
  t.strictSame(options.proxyServerHost, ['a.example', 'fd00::1', '10.0.0.1']);
});

t.test('accepts policy rules in repeated flags and in lists', async (t) => {
  const { options } = parse(
    '--allow=10.0.0.0/8,[fd00::/8]:443',
    '--allow=*.example:1-1023',
    '--deny=*:22',
  );
  t.same(
    options.allow.map(({ text }) => text),
    ['10.0.0.0/8', '[fd00::/8]:443', '*.example:1-1023'],
  );
  t.match(options.deny, [{ text: '*:22' }]);
});

t.test('refuses values that cannot work', async (t) => {
  const complaints: readonly [string[], RegExp][] = [
    [['--agent-key='], /^--agent-key is missing: --agent-cert needs it$/],
    [['--agent-cert='], /^--agent-cert is missing: --agent-key needs it$/],
    [['--server-count-source=min'], /^--server-count-source: "min" is none of default, max$/],
    [['--transport=quic'], /^--transport: "quic" is none of auto, /],
    [['--proxy-server-host=,'], /^--proxy-server-host is empty/],
    [['--proxy-server-host=a:8091'], /^--proxy-server-host: "a:8091" is neither/],
    [['--proxy-server-port=0'], /^--proxy-server-port: "0" is not a whole number from 1 to 65535$/],
    [['--reconnect-min=1m'], /^--reconnect-min must not be above --reconnect-max$/],
    [['--health-server-port=8094'], /^--health-server-port and --admin-server-port are both 8094/],
    [['--allow', ''], /^--allow: "" contains no rule\. Remove it to allow [^;]*, or add a rule$/],
    [['--allow=,'], /^--allow: "," contains no rule\. /],
    [['--allow=10.0.0.1/8'], /^--allow: "10\.0\.0\.1\/8" is not a rule such as /],
    [['--deny=10.0.0.256'], /^--deny: "10\.0\.0\.256" is not a rule/],
    [['--max-stream-window=65535'], /^--max-stream-window: "65535" is below 64KiB$/],
    [['--egress-proxy=socks5://p:1'], /^--egress-proxy: "socks5:\/\/p:1" is not an http/],
  ];
  for (const [argv, expected] of complaints) t.match(complaint(...argv), expected, argv.join(' '));
});

t.test('an agent without a certificate starts with a warning', async (t) => {
  const { warnings } = parseOptions(agentOptions, { argv: [], env: {} });
  t.match(warnings, [/^--agent-cert and --agent-key are missing/]);
});

t.test('the former spelling --enrolment-* still works', async (t) => {
  const common = { argv: ['--identity-dir=d'], env: {} };
  const expected = {
    enrollmentServer: { host: 'issuer.example', port: 8096 },
    enrollmentCaHash: [`sha256:${'ab'.repeat(32)}`],
    enrollmentTokenFile: 'token',
    enrollmentToken: 'secret',
  };
  for (const word of ['enrollment', 'enrolment']) {
    const variables = {
      [`FAIRLEAD_${word.toUpperCase()}_SERVER`]: 'issuer.example:8096',
      [`FAIRLEAD_${word.toUpperCase()}_CA_HASH`]: expected.enrollmentCaHash[0],
      [`FAIRLEAD_${word.toUpperCase()}_TOKEN_FILE`]: 'token',
      [`FAIRLEAD_${word.toUpperCase()}_TOKEN`]: 'secret',
    };
    const lines = [
      `${word}-server: issuer.example:8096`,
      `${word}-ca-hash: ${expected.enrollmentCaHash[0]}`,
      `${word}-token-file: token`,
      `${word}-token: secret`,
    ];
    const file = join(t.testdir({ 'agent.yaml': lines.join('\n') }), 'agent.yaml');
    const flags = lines.slice(0, 3).map((line) => `--${line.replace(': ', '=')}`);
    const { enrollmentToken: _, ...fromFlags } = expected;
    for (const [source, parsed] of [
      [{ ...common, env: variables }, expected],
      [{ ...common, argv: [...common.argv, `--config=${file}`] }, expected],
      [{ ...common, argv: [...common.argv, ...flags] }, fromFlags],
    ] as const) {
      const { options, warnings } = parseOptions(agentOptions, source);
      t.match(options, parsed);
      t.strictSame(warnings, []);
    }
    const flag = `--${word}-token`;
    t.throws(() => parse(`${flag}=secret`), { message: new RegExp(`^${flag}: all users`) });
  }
});

t.test('warns about an unknown type of identifier', async (t) => {
  const argv = ['--agent-cert=c', '--agent-key=k', '--agent-identifiers=hots=x&host=y&zone=1'];
  t.match(parseOptions(agentOptions, { argv, env: {} }).warnings, [
    /^--agent-identifiers: hots=x .*did you mean host\?$/,
    /^--agent-identifiers: zone=1 .*use host, ipv4, ipv6, cidr, default-route$/,
  ]);
});
