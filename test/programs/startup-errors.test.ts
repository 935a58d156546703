/** Mistakes of an operator that a program answers with a stack, a wrong exit code, or not at all. */
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
  startService,
  testPki,
} from './fixture.ts';

interface Mistake {
  readonly flags: Flags;
  readonly code: 1 | 2;
  /** What the line names: the flag, and what else helps. */
  readonly says: RegExp;
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
  says: new RegExp(`--${flag}.*:${takenPort}.*another process`),
});

const pki = await testPki();
const missing = '/no/such/file';

const serverMistakes: Record<string, Mistake> = {
  'a wrong flag': { flags: { 'sever-port': '1' }, code: 2, says: /--sever-port.*--server-port/ },
  'a value that is none': { flags: { 'agent-port': 'http' }, code: 2, says: /--agent-port.*http/ },
  'a missing file': {
    flags: { 'cluster-cert': missing },
    code: 2,
    says: /--cluster-cert.*\/no\/such\/file/,
  },
  'an empty file': {
    flags: { 'server-ca-cert': emptyFile },
    code: 2,
    says: /--server-ca-cert.*empty/,
  },
  'a key that does not match': {
    flags: { 'server-key': pki.foreign.server.keyFile },
    code: 2,
    says: /--server-key.*match.*--server-cert/,
  },
  'an agent CA left out': {
    flags: { 'cluster-ca-cert': undefined },
    code: 2,
    says: /--cluster-ca-cert/,
  },
  'a config file that is missing': {
    flags: { config: missing },
    code: 2,
    says: /--config.*\/no\/such\/file/,
  },
  'a front-end port in use': inUse('server-port'),
  'an agent port in use': inUse('agent-port'),
  'a health port in use': inUse('health-port'),
  'an admin port in use': inUse('admin-port'),
  'a socket path that cannot be': {
    flags: { 'uds-name': '/no/such/directory/socket' },
    code: 2,
    says: /--uds-name.*\/no\/such\/directory/,
  },
};

for (const name of [
  'a missing file',
  'a key that does not match',
  'a front-end port in use',
  'an agent port in use',
  'a socket path that cannot be',
]) {
  const { flags, ...mistake } = serverMistakes[name]!;
  serverMistakes[`${name}, with workers`] = { ...mistake, flags: { ...flags, workers: '2' } };
}

const agentMistakes: Record<string, Mistake> = {
  'a wrong flag': { flags: { 'agent-certt': 'x' }, code: 2, says: /--agent-certt.*--agent-cert/ },
  'a missing file': { flags: { 'ca-cert': missing }, code: 2, says: /--ca-cert.*\/no\/such\/file/ },
  'a key that does not match': {
    flags: { 'agent-key': pki.foreign.client.keyFile },
    code: 2,
    says: /--agent-key.*match.*--agent-cert/,
  },
  'a certificate without its key': {
    flags: { 'agent-key': undefined },
    code: 2,
    says: /--agent-key/,
  },
  'a proxy that is none': {
    flags: { 'egress-proxy': 'socks5://proxy:1080' },
    code: 2,
    says: /--egress-proxy/,
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
    t.test(`fairlead-${program}: ${name}`, async (t) => {
      const started = await startProgram(t, program, { ...flags, ...mistake.flags });
      t.same(await inTime('the program ends', started.exit), { code: mistake.code, signal: null });
      // The log is JSON; what is told to the operator is not.
      const told = started.logs.filter(({ level }) => level === undefined);
      t.equal(told.length, 1, 'one line');
      t.match(told[0]?.msg, mistake.says);
      t.notMatch(told[0]?.msg, /\bat .*\.js|Error:/, 'no stack');
      t.equal(started.stdout, '');
    });
  }
}

const { server, agent } = await startService(t);

t.test('a socket that another server serves', async (t) => {
  const other = await startProgram(t, 'server', await serverFlags(server.uds.path));
  t.equal((await inTime('the program ends', other.exit)).code, 1);
  const told = other.logs.filter(({ level }) => level === undefined);
  t.equal(told.length, 1, 'one line');
  t.match(told[0]?.msg, /--uds-name.*--uds-takeover/, 'with the cure');
});

t.test('fairlead status, asked for the wrong port', async (t) => {
  const wrong = {
    [agent.adminPort]: /--admin .*--admin-port of a server, not of an agent/,
    [server.healthPort]: /--admin /,
  };
  for (const [port, says] of Object.entries(wrong)) {
    const args = ['status', `--admin=http://${loopback}:${port}`];
    const { code, stderr } = await runCommand(args);
    t.equal(code, 1);
    t.equal(stderr.trim().split('\n').length, 1, 'one line');
    t.match(stderr, says);
  }
});
