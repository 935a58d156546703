/**
 * Both programs as nobody, without a capability and with no way to gain one, where every file system is
 * read-only. It takes root to arrange that, and a kernel that lets root make a namespace.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  closeAfter,
  connectThrough,
  makeTemporaryDirectory,
  programs,
  RunningProcess,
  startEchoTarget,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { agentFlags, type Flags, loopback, serverFlags, testPki } from '../programs/fixture.ts';

const nobody = 65_534;

/** Where the test's directory is for the programs: its own path leads through directories of root alone. */
const mounted = '/mnt';

/** Every mount becomes read-only, which is checked, and then all privileges go. */
const confine = `
mount --bind "$1" ${mounted} && cd ${mounted}/cwd && shift || exit 9
for place in $(awk '{print $5}' /proc/self/mountinfo); do
  mount -o remount,bind,ro "$place" 2>/dev/null
done
for place in . /tmp "$HOME"; do
  if touch "$place/.written" 2>/dev/null; then echo "$place can be written" >&2; exit 9; fi
done
exec setpriv --reuid=${nobody} --regid=${nobody} --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"`;

function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'only root can take privileges away like that';
  try {
    execFileSync('unshare', ['--mount', '--propagation', 'private', 'true'], { stdio: 'ignore' });
    execFileSync('setpriv', ['--version'], { stdio: 'ignore' });
    execFileSync('setpriv', [`--reuid=${nobody}`, 'test', '-r', programs.server]);
    return false;
  } catch {
    return 'root cannot make a namespace on this machine, or an unprivileged user cannot read the programs';
  }
}

/** Copies the files that flags name to where the user nobody can read them. */
function readable(flags: Flags, directory: string): Flags {
  const copy = ([name, value]: [string, string | undefined]) => {
    if (!value?.startsWith('/') || !/cert|key/.test(name)) return [name, value];
    const path = join(directory, `${name}-${basename(value)}`);
    copyFileSync(value, path);
    chownSync(path, nobody, nobody);
    chmodSync(path, 0o400);
    return [name, join(mounted, basename(path))];
  };
  return Object.fromEntries(Object.entries(flags).map(copy));
}

async function start(
  t: Test,
  program: 'server' | 'agent',
  flags: Flags,
  directory: string,
): Promise<RunningProcess> {
  const given = Object.entries(flags).filter(([, value]) => value !== undefined);
  const started = await RunningProcess.startBinary(
    'unshare',
    [
      ...['--mount', '--propagation', 'private', 'sh', '-c', confine, 'sh', directory],
      ...(programs[program].endsWith('.js') ? [process.execPath] : []),
      ...[programs[program], ...given.map(([name, value]) => `--${name}=${value}`)],
    ],
    { name: `fairlead-${program}` },
  );
  return closeAfter(t, started);
}

/** What the kernel says of a process' privileges. */
function privilegesOf({ pid }: RunningProcess): Record<string, string> {
  const rows = readFileSync(`/proc/${pid}/status`, 'latin1').split('\n');
  return Object.fromEntries(rows.map((row) => row.split(':\t') as [string, string]));
}

t.test('server and agent run without any', { skip: whyNot() }, async (t) => {
  const directory = await makeTemporaryDirectory();
  t.teardown(() => directory.close());
  chmodSync(directory.path, 0o755);
  mkdirSync(join(directory.path, 'cwd'), { mode: 0o555 });
  const target = await startEchoTarget();
  t.teardown(() => target.close());

  const asGiven = await serverFlags('unused');
  // A socket is a file, and needs a place that can be written.
  const ofServer = readable({ ...asGiven, 'uds-name': undefined }, directory.path);
  const server = await start(t, 'server', ofServer, directory.path);
  const { port } = await server.waitForListener('agent');
  await server.waitForListener('frontend');
  const agent = await start(
    t,
    'agent',
    readable(await agentFlags(port), directory.path),
    directory.path,
  );
  await server.waitForLog(({ msg }) => msg === 'agent connected');

  const { frontend } = await testPki();
  const tls = { ca: frontend.ca, cert: frontend.client.cert, key: frontend.client.key };
  const via = { host: loopback, port: Number(ofServer['server-port']), tls };
  const reply = await connectThrough({ via, target: `${loopback}:${target.port}` });
  t.equal(reply.status, 200);
  reply.socket.end('served');
  let text = '';
  for await (const chunk of reply.socket) text += String(chunk);
  t.equal(text, 'served');

  for (const program of [server, agent]) {
    const { Uid, CapEff, CapPrm, CapBnd, NoNewPrivs } = privilegesOf(program);
    t.match(Uid, new RegExp(`^${nobody}\\t${nobody}\\t`));
    t.same([CapEff, CapPrm, CapBnd].map(Number), [0, 0, 0]);
    t.equal(NoNewPrivs, '1');
    const complaints = program.logs.filter(({ level }) => level === 'error' || level === 'fatal');
    t.same(complaints, []);
  }
});
