import { join } from 'node:path';
import {
  completeOptions,
  defineOptions,
  kinds,
  option,
  parseOptions,
} from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import t, { type Test } from 'tap';
import { sampleTable } from '../sample-table.ts';

const parse = (argv: string[], env: Record<string, string> = {}) =>
  parseOptions(sampleTable, { argv, env });

/** Parses a configuration file with this text. */
function parseFile(t: Test, text: string, name = 'sample.yaml') {
  const path = join(t.testdir({ [name]: text }), name);
  return { path, parse: () => parse(['--config', path]) };
}

t.test('reads FAIRLEAD_<NAME>, then other variables, and ignores empty ones', async (t) => {
  t.equal(parse([], { FAIRLEAD_AGENT_PORT: '1' }).options.agentPort, 1);
  t.equal(parse([], { FAIRLEAD_AGENT_PORT: '1' }).sources.get('agent-port'), 'env');
  t.equal(parse([], { FAIRLEAD_AGENT_PORT: '' }).options.agentPort, 8091);
  t.equal(parse([], { PROXY_SERVER_ID: 'a' }).options.serverId, 'a');
  t.equal(parse([], { PROXY_SERVER_ID: 'a', FAIRLEAD_SERVER_ID: 'b' }).options.serverId, 'b');
  t.equal(parse([], { PROXY_SERVER_ID: 'a', FAIRLEAD_SERVER_ID: '' }).options.serverId, 'a');
  t.strictSame(parse([], { FAIRLEAD_HOSTS: 'a,b' }).options.hosts, ['a', 'b']);
  t.equal(parse([], { FAIRLEAD_VERBOSE: 'true' }).options.verbose, true);
  t.throws(() => parse([], { FAIRLEAD_AGENT_PORT: 'x' }), {
    message: 'FAIRLEAD_AGENT_PORT: "x" is not a whole number from 0 to 65535',
  });
  t.throws(() => parse([], { FAIRLEAD_LEASES: 'true' }), {
    message: 'FAIRLEAD_LEASES: leases are not supported yet',
  });
});

t.test('ignores a Kubernetes service link', async (t) => {
  const { options, warnings } = parse([], { FAIRLEAD_AGENT_PORT: 'tcp://10.0.0.1:8091' });
  t.equal(options.agentPort, 8091);
  t.match(warnings, [/^FAIRLEAD_AGENT_PORT=tcp:.*enableServiceLinks: false/]);
});

t.test('reads a YAML file', async (t) => {
  const yaml = `
# a comment
agent-port: 1
dial-timeout: 3s
verbose: true
server-id: 007
window: 64KiB
hosts: [a, "::1"]
uds-name: "/run/a,b.sock"
mode:
`;
  const { options, sources } = parseFile(t, yaml).parse();
  t.match(options, {
    agentPort: 1,
    dialTimeout: 3000,
    verbose: true,
    serverId: '007',
    window: 65_536,
    hosts: ['a', '::1'],
    udsName: '/run/a,b.sock',
    mode: undefined,
  });
  t.equal(sources.get('agent-port'), 'file');
  t.equal(sources.get('mode'), 'default');
});

t.test('reads a JSON file, and lists as text', async (t) => {
  const json = '{"agent-port": 2, "hosts": "a, b", "verbose": false, "dial-timeout": "1m"}';
  t.match(parseFile(t, json, 'sample.json').parse().options, {
    agentPort: 2,
    hosts: ['a', 'b'],
    verbose: false,
    dialTimeout: 60_000,
  });
});

t.test('accepts YAML aliases, an empty file and an empty list', async (t) => {
  t.strictSame(parseFile(t, 'uds-name: &x abc\nserver-id: *x\n').parse().options.serverId, 'abc');
  t.equal(parseFile(t, '').parse().options.agentPort, 8091);
  t.strictSame(parseFile(t, 'hosts: []').parse().options.hosts, []);
});

t.test('the error for an invalid file has file, line, key and cure', async (t) => {
  const invalid: readonly [string, string][] = [
    ['agent-prot: 1', ':1: agent-prot: unknown key: did you mean agent-port?'],
    ['\nagentPort: 1', ':2: agentPort: unknown key: did you mean agent-port?'],
    ['constructor: 1', ':1: constructor: unknown key: see sample --help'],
    [
      'verbose: true\nagent-port: 99999',
      ':2: agent-port: "99999" is not a whole number from 0 to 65535',
    ],
    ['verbose: yes', ':1: verbose: "yes" is neither true nor false'],
    ['agent-port: [1, 2]', ':1: agent-port: must be one value, not a list'],
    ['hosts: {a: 1}', ':1: hosts: must be a plain value or a list of plain values'],
    ['hosts: [[a]]', ':1: hosts: must be a plain value or a list of plain values'],
    [
      'hosts: [a, "b c"]',
      ':1: hosts: "b c" is neither an IP address nor a host name (a port has its own flag)',
    ],
    ['config: other.yaml', ':1: config: a configuration file cannot refer to another one'],
    ['namespace: x', ':1: namespace: tokens are not supported yet'],
    ['- agent-port', ': must contain keys and values, such as "agent-port: 8091"'],
    ['agent-port: 1\nagent-port: 2', ':2: Map keys must be unique'],
  ];
  for (const [text, expected] of invalid) {
    const file = parseFile(t, text);
    try {
      file.parse();
      t.fail(`no complaint about ${text}`);
    } catch (error) {
      t.ok(error instanceof UsageError, text);
      t.equal((error as Error).message, file.path + expected, text);
    }
  }
  const broken = parseFile(t, 'agent-port: "1\n');
  t.throws(broken.parse, { message: new RegExp(`^${broken.path}:\\d+: [^\\n]+$`) }, 'broken YAML');
});

t.test('refuses a missing file and a directory, and reads FAIRLEAD_CONFIG', async (t) => {
  const dir = t.testdir({ 'a.yaml': 'agent-port: 5' });
  t.throws(() => parse(['--config=/no/such/file']), {
    message:
      '--config: /no/such/file: file not found. Check the path and that the volume is mounted',
  });
  t.throws(() => parse([`--config=${dir}`]), {
    message: `--config: ${dir}: is a directory. Name a file in it`,
  });
  t.equal(parse([], { FAIRLEAD_CONFIG: join(dir, 'a.yaml') }).options.agentPort, 5);
  t.throws(() => parse([], { FAIRLEAD_CONFIG: '/no/such/file' }), {
    message: /^FAIRLEAD_CONFIG: /,
  });
});

t.test('the precedence is flag, environment, file, default', async (t) => {
  const dir = t.testdir({ 'a.yaml': 'agent-port: 3\nwindow: 3KiB\nv: 3\n' });
  const { options, sources } = parse(['--config', join(dir, 'a.yaml'), '--agent-port=1'], {
    FAIRLEAD_AGENT_PORT: '2',
    FAIRLEAD_WINDOW: '2KiB',
  });
  t.match(options, { agentPort: 1, window: 2048, v: 3, dialTimeout: 5000 });
  t.strictSame(
    ['agent-port', 'window', 'v', 'dial-timeout'].map((name) => sources.get(name)),
    ['flag', 'env', 'file', 'default'],
  );
  t.equal(
    parse(['--uds-name='], { FAIRLEAD_UDS_NAME: 'x' }).options.udsName,
    undefined,
    'an empty flag overrides the environment',
  );
});

const checkedTable = defineOptions({
  program: 'checked',
  summary: 'checked: has a check',
  options: {
    low: option(kinds.integer(0, 9), { group: 'Sample', description: 'Low', default: 1 }),
    high: option(kinds.integer(0, 9), { group: 'Sample', description: 'High', default: 5 }),
  },
  check({ low, high }, { isGiven, warn }) {
    if (low > high) throw new UsageError('--low must not be above --high');
    if (isGiven('low')) warn('--low was given');
  },
});

t.test("a table's check receives the values and which options are set", async (t) => {
  t.throws(() => parseOptions(checkedTable, { argv: ['--low=7'], env: {} }), {
    message: '--low must not be above --high',
  });
  t.strictSame(parseOptions(checkedTable, { argv: ['--low=1'], env: {} }).warnings, [
    '--low was given',
  ]);
  t.strictSame(parseOptions(checkedTable, { argv: [], env: {} }).warnings, []);
});

t.test('completeOptions() adds defaults and runs the check', async (t) => {
  t.strictSame(completeOptions(checkedTable, { high: 3 }), { low: 1, high: 3 });
  t.throws(() => completeOptions(checkedTable, { low: 7 }), UsageError);
});

t.test('warns about an unknown FAIRLEAD_* variable, except Kubernetes service links', async (t) => {
  const { warnings } = parse([], {
    FAIRLEAD_AGENT_PROT: '1',
    FAIRLEAD_AGNET_PORT: '8091',
    FAIRLEAD_AGENT_PROTT: '',
    FAIRLEAD_COLOR_OF_LOGS: 'red',
    FAIRLEAD_SERVER_SERVICE_HOST: '10.0.0.1',
    FAIRLEAD_SERVER_SERVICE_PORT_AGENTS: '8091',
    FAIRLEAD_SERVER_PORT: 'tcp://10.0.0.1:8091',
    FAIRLEAD_SERVER_PORT_8091_TCP: 'tcp://10.0.0.1:8091',
    FAIRLEAD_SERVER_PORT_8091_TCP_ADDR: '10.0.0.1',
    OTHER: 'x',
  });
  t.match(warnings, [
    /^FAIRLEAD_AGENT_PROT .*no effect: did you mean FAIRLEAD_AGENT_PORT\?$/,
    /^FAIRLEAD_AGNET_PORT .*no effect: did you mean FAIRLEAD_AGENT_PORT\?$/,
    /^FAIRLEAD_COLOR_OF_LOGS .*no effect: see sample --help$/,
  ]);
  t.equal(warnings.length, 3);
});
