import { defineOptions, kinds, maxTimerMs, option, parseOptions } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import t from 'tap';
import { sampleTable } from '../sample-table.ts';

const parse = (...argv: string[]) => parseOptions(sampleTable, { argv, env: {} });

function complaint(...argv: string[]): string {
  try {
    parse(...argv);
  } catch (error) {
    if (error instanceof UsageError && error.exitCode === 2) return error.message;
    throw error;
  }
  return 'no complaint';
}

t.test('all options have their defaults without flags', async (t) => {
  const { options, warnings, sources } = parse();
  t.strictSame(options, {
    config: undefined,
    agentPort: 8091,
    dialTimeout: 5000,
    graceTime: 1000,
    window: 65_536,
    verbose: false,
    quiet: true,
    v: 0,
    mode: undefined,
    hosts: ['127.0.0.1'],
    serverId: 'made',
    udsName: undefined,
    proxy: undefined,
    pin: undefined,
    old: undefined,
  });
  t.strictSame(warnings, []);
  t.equal(sources.get('agent-port'), 'default');
});

t.test('reads a value after = or as the next argument', async (t) => {
  t.equal(parse('--agent-port=1').options.agentPort, 1);
  t.equal(parse('--agent-port', '1').options.agentPort, 1);
  t.equal(parse('--uds-name=a=b').options.udsName, 'a=b');
  t.equal(
    parse('--uds-name', '-x').options.udsName,
    '-x',
    'the next argument is the value, as in pflag',
  );
  t.equal(parse('--agent-port=1').sources.get('agent-port'), 'flag');
});

t.test('reads booleans as Go does', async (t) => {
  t.equal(parse('--verbose').options.verbose, true);
  for (const word of ['true', 'TRUE', 'True', 't', 'T', '1']) {
    t.equal(parse(`--verbose=${word}`).options.verbose, true, word);
  }
  for (const word of ['false', 'FALSE', 'False', 'f', 'F', '0']) {
    t.equal(parse(`--quiet=${word}`).options.quiet, false, word);
  }
  t.equal(complaint('--verbose=yes'), '--verbose: "yes" is neither true nor false');
  t.equal(complaint('--verbose='), '--verbose: "" is neither true nor false');
  t.equal(complaint('--verbose', 'false'), '--verbose false: write --verbose=false');
});

t.test("reads klog's -v in all spellings", async (t) => {
  for (const argv of [['-v=4'], ['-v', '4'], ['-v4'], ['--v=4'], ['--v', '4']]) {
    t.equal(parse(...argv).options.v, 4, argv.join(' '));
  }
  t.equal(complaint('-verbose'), 'unknown flag -verbose: did you mean --verbose?');
});

t.test('uses the last value of a scalar, and all values of a list', async (t) => {
  t.equal(parse('--agent-port=1', '--agent-port=2').options.agentPort, 2);
  t.strictSame(parse('--hosts=a,b', '--hosts', 'c').options.hosts, ['a', 'b', 'c']);
  t.strictSame(parse('--hosts= a , [::1],').options.hosts, ['a', '::1']);
  t.equal(
    complaint('--hosts=a,b:1'),
    '--hosts: "b:1" is neither an IP address nor a host name (a port has its own flag)',
  );
});

t.test('an empty value means "not set" for texts, and is an error for numbers', async (t) => {
  t.equal(parse('--uds-name=').options.udsName, undefined);
  t.equal(parse('--server-id', '').options.serverId, 'made');
  t.strictSame(parse('--hosts=').options.hosts, ['127.0.0.1']);
  t.match(complaint('--agent-port='), /^--agent-port: "" is not a whole number/);
});

t.test('the error for an unknown flag suggests the nearest one', async (t) => {
  t.equal(complaint('--agent-prot=1'), 'unknown flag --agent-prot: did you mean --agent-port?');
  t.equal(complaint('--dailtimeout'), 'unknown flag --dailtimeout: did you mean --dial-timeout?');
  t.equal(complaint('--xyzzy-plugh'), 'unknown flag --xyzzy-plugh: see sample --help');
  t.equal(complaint('-x'), 'unknown flag -x: see sample --help');
  t.match(complaint('--constructor'), /^unknown flag --constructor/);
  t.match(complaint('--__proto__=1'), /^unknown flag --__proto__/);
  t.match(complaint('--'), /no complaint/);
});

t.test('refuses a flag without its value and unexpected arguments', async (t) => {
  t.equal(complaint('--agent-port'), '--agent-port: the value is missing: --agent-port PORT');
  t.equal(
    complaint('oops'),
    'unexpected argument "oops": only flags are accepted, see sample --help',
  );
  t.match(complaint('--', '--agent-port=1'), /^unexpected argument "--agent-port=1"/);
});

t.test('the error for an invalid value has the flag and the value', async (t) => {
  const complaints: readonly [string, string][] = [
    ['--agent-port=65536', '--agent-port: "65536" is not a whole number from 0 to 65535'],
    ['--agent-port=1e3', '--agent-port: "1e3" is not a whole number from 0 to 65535'],
    ['--dial-timeout=5', '--dial-timeout: "5" needs a unit, as in 30s'],
    ['--dial-timeout=x', '--dial-timeout: "x" is not a duration such as 30s, 1m30s or 500ms'],
    ['--dial-timeout=-1s', '--dial-timeout: "-1s" is not a duration such as 30s, 1m30s or 500ms'],
    ['--dial-timeout=1ms', '--dial-timeout: "1ms" is below 10ms'],
    ['--dial-timeout=0', '--dial-timeout: "0" is below 10ms'],
    ['--dial-timeout=600h', '--dial-timeout: "600h" is longer than 24 days'],
    ['--window=big', '--window: "big" is not a size such as 65536, 64KiB or 16MiB'],
    ['--window=1', '--window: "1" is below 1KiB'],
    ['--window=2MiB', '--window: "2MiB" is above 1MiB'],
    ['--mode=htpp', '--mode: "htpp" is none of grpc, http-connect'],
    ['--server-id=a b', '--server-id: "a b" must be 1 to 253 visible ASCII characters'],
    ['--proxy=proxy:3128', '--proxy: "proxy:3128" is not an http:// or https:// URL'],
    ['--proxy=http://', '--proxy: "http://" is not an http:// or https:// URL'],
    [
      '--hosts=10.0.0.256',
      '--hosts: "10.0.0.256" is neither an IP address nor a host name (a port has its own flag)',
    ],
    [
      '--hosts=[10.0.0.1]',
      '--hosts: "[10.0.0.1]" is neither an IP address nor a host name (a port has its own flag)',
    ],
  ];
  for (const [flag, expected] of complaints) t.equal(complaint(flag), expected, flag);
});

t.test('0 disables a time limit if the option allows it', async (t) => {
  t.equal(parse('--grace-time=0').options.graceTime, maxTimerMs);
  t.equal(parse('--grace-time=0s').options.graceTime, maxTimerMs);
});

t.test('an error about a secret does not contain the secret', async (t) => {
  t.equal(complaint('--pin=12345'), '--pin: the value is not a whole number from 1000 to 9999');
});

t.test('ignored and deprecated flags cause a warning', async (t) => {
  const { warnings } = parse('--channel-size', '20', '--profiling', '--old=x');
  t.strictSame(warnings, [
    '--old is deprecated: use --mode',
    '--channel-size has no effect: there are no channels',
    '--profiling has no effect: not in Go',
  ]);
});

t.test('refused flags are an error unless they have their default', async (t) => {
  t.equal(complaint('--namespace=kube-system'), '--namespace: tokens are not supported yet');
  t.equal(complaint('--leases'), '--leases: leases are not supported yet');
  t.equal(complaint('--leases=maybe'), '--leases: leases are not supported yet');
  t.strictSame(parse('--namespace=', '--leases=false').warnings, []);
});

t.test('checks required options and positional arguments', async (t) => {
  const table = defineOptions({
    program: 'sample forward',
    summary: 'sample forward: forwards',
    positionals: { usage: 'HOST:PORT', min: 1, max: 1 },
    options: {
      name: option(kinds.text, { group: 'Sample', description: 'Who you are', required: true }),
    },
  });
  const forward = (...argv: string[]) => parseOptions(table, { argv, env: {} });
  const { options, positionals } = forward('a:1', '--name=x');
  t.equal(options.name.length, 1, 'the type of a required option has no undefined');
  t.strictSame(positionals, ['a:1']);
  t.strictSame(forward('--name=x', '--', '-1').positionals, ['-1']);
  t.throws(() => forward('a:1'), { message: '--name is missing: Who you are' });
  t.throws(() => forward('a:1', '--name='), { message: '--name is missing: Who you are' });
  t.throws(() => forward('--name=x'), {
    message: 'an argument is missing: sample forward [flags] HOST:PORT',
  });
  t.throws(() => forward('a:1', 'b:2', '--name=x'), {
    message: 'unexpected argument "b:2": expected HOST:PORT, see sample forward --help',
  });
});

t.test('defineOptions() refuses an invalid name', async (t) => {
  const text = option(kinds.text, { group: 'Sample', description: 'x' });
  for (const name of ['agentPort', 'help', 'version', '-v', 'a--b']) {
    t.throws(
      () => defineOptions({ program: 'p', summary: 's', options: { [name]: text } }),
      { message: `an option cannot be named ${name}` },
      name,
    );
  }
});
