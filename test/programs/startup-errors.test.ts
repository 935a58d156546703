/** Mistakes in a program's flags: one line on stderr names the flag and the cure, and the exit code is right. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { makeTemporaryDirectory } from '@fairlead/testkit';
import t from 'tap';
import { runCommand } from '../../packages/cli/test/run-fairlead.ts';
import { inTime } from './clients.ts';
import {
  agentFlags,
  type Flags,
  loopback,
  serverFlags,
  startProgram,
  startServer,
  startService,
  testPki,
} from './fixture.ts';

interface Mistake {
  readonly flags: Flags;
  readonly code: 1 | 2;
  /** The line: the flag, the cause and the cure. */
  readonly message: RegExp;
}

const directory = await makeTemporaryDirectory();
t.teardown(() => directory.close());
const emptyFile = join(directory.path, 'empty.pem');
await writeFile(emptyFile, '');

const taken = createServer().listen(0, loopback);
await once(taken, 'listening');
t.teardown(() => {
  taken.close();
});
const takenPort = String((taken.address() as AddressInfo).port);
const inUse = (flag: string): Mistake => ({
  flags: { [flag]: takenPort },
  code: 1,
  message: new RegExp(`--${flag}.*:${takenPort}.*another process`),
});

const pki = await testPki();
const missing = '/no/such/file';

const serverMistakes: Record<string, Mistake> = {
  'an unknown flag': {
    flags: { 'sever-port': '1' },
    code: 2,
    message: /--sever-port.*--server-port/,
  },
  'an invalid value': { flags: { 'agent-port': 'http' }, code: 2, message: /--agent-port.*http/ },
  'a missing file': {
    flags: { 'cluster-cert': missing },
    code: 2,
    message: /--cluster-cert.*\/no\/such\/file/,
  },
  'an empty file': {
    flags: { 'server-ca-cert': emptyFile },
    code: 2,
    message: /--server-ca-cert.*empty/,
  },
  'a key that does not match': {
    flags: { 'server-key': pki.foreign.server.keyFile },
    code: 2,
    message: /--server-key.*match.*--server-cert/,
  },
  'a missing agent CA': {
    flags: { 'cluster-ca-cert': undefined },
    code: 2,
    message: /--cluster-ca-cert/,
  },
  'a missing config file': {
    flags: { config: missing },
    code: 2,
    message: /--config.*\/no\/such\/file/,
  },
  'a front-end port in use': inUse('server-port'),
  'an agent port in use': inUse('agent-port'),
  'a health port in use': inUse('health-port'),
  'an admin port in use': inUse('admin-port'),
  'a socket path in a missing directory': {
    flags: { 'uds-name': '/no/such/directory/socket' },
    code: 2,
    message: /--uds-name.*\/no\/such\/directory/,
  },
};

for (const name of [
  'a missing file',
  'a key that does not match',
  'a front-end port in use',
  'an agent port in use',
  'a socket path in a missing directory',
]) {
  const { flags, ...mistake } = serverMistakes[name]!;
  serverMistakes[`${name}, with workers`] = { ...mistake, flags: { ...flags, workers: '2' } };
}

const agentMistakes: Record<string, Mistake> = {
  'an unknown flag': {
    flags: { 'agent-certt': 'x' },
    code: 2,
    message: /--agent-certt.*--agent-cert/,
  },
  'a missing file': {
    flags: { 'ca-cert': missing },
    code: 2,
    message: /--ca-cert.*\/no\/such\/file/,
  },
  'a key that does not match': {
    flags: { 'agent-key': pki.foreign.client.keyFile },
    code: 2,
    message: /--agent-key.*match.*--agent-cert/,
  },
  'a certificate without its key': {
    flags: { 'agent-key': undefined },
    code: 2,
    message: /--agent-key/,
  },
  'a proxy of an unsupported scheme': {
    flags: { 'egress-proxy': 'socks5://proxy:1080' },
    code: 2,
    message: /--egress-proxy/,
  },
  'a health port in use': inUse('health-server-port'),
  'an admin port in use': inUse('admin-server-port'),
};

const programs = {
  server: { flags: await serverFlags(join(directory.path, 'socket')), mistakes: serverMistakes },
  agent: { flags: await agentFlags(Number(takenPort)), mistakes: agentMistakes },
};

for (const program of ['server', 'agent'] as const) {
  const { flags, mistakes } = programs[program];
  for (const [name, mistake] of Object.entries(mistakes)) {
    t.test(`fairlead-${program} reports ${name}`, async (t) => {
      const started = await startProgram(t, program, { ...flags, ...mistake.flags });
      t.same(await inTime('the program ends', started.exit), { code: mistake.code, signal: null });
      // Log lines are JSON and have a level; messages to the operator are plain text.
      const messages = started.logs.filter(({ level }) => level === undefined);
      t.equal(messages.length, 1, 'one line');
      t.match(messages[0]?.msg, mistake.message);
      t.notMatch(messages[0]?.msg, /\bat .*\.js|Error:/, 'no stack');
      t.equal(started.stdout, '');
    });
  }
}

const { server, agent } = await startService(t);

t.test('refuses a socket path that another server uses', async (t) => {
  const other = await startProgram(t, 'server', await serverFlags(server.uds.path));
  t.equal((await inTime('the program ends', other.exit)).code, 1);
  const messages = other.logs.filter(({ level }) => level === undefined);
  t.equal(messages.length, 1, 'one line');
  t.match(messages[0]?.msg, /--uds-name.*--uds-takeover/, 'the line names the cure');
});

t.test('fairlead status names the right port if it is given the wrong one', async (t) => {
  const wrongPorts = {
    [agent.adminPort]: /--admin .*--admin-port of a server, not of an agent/,
    [server.healthPort]: /--admin /,
  };
  for (const [port, message] of Object.entries(wrongPorts)) {
    const args = ['status', `--admin=http://${loopback}:${port}`];
    const { code, stderr } = await runCommand(args);
    t.equal(code, 1);
    t.equal(stderr.trim().split('\n').length, 1, 'one line');
    t.match(stderr, message);
  }
});

t.test('warns if one CA signs the certificates of clients and of agents', async (t) => {
  const warnings = (process: typeof server.process) =>
    process.logs.filter(({ msg }) => msg.includes('contain the same CA'));
  t.same(warnings(server.process), [], 'two CAs');
  const same = await startServer(t, { 'server-ca-cert': pki.agent.caFile });
  t.match(warnings(same.process), [{ level: 'warn', msg: /--server-ca-cert.*--frontend-policy/ }]);
});
