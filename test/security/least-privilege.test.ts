/**
 * Runs both programs as an unprivileged user, without capabilities, on read-only file systems. The test
 * needs root and a kernel that lets root create mount namespaces.
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

/** The user and group ID of the system's unprivileged user. */
const unprivilegedId = 65_534;

/** Where the programs see the test's directory. Only root can enter the parents of its real path. */
const mounted = '/mnt';

/** Remounts every file system read-only, checks that, and drops all privileges. */
const confine = `
mount --bind "$1" ${mounted} && cd ${mounted}/cwd && shift || exit 9
for mount_point in $(awk '{print $5}' /proc/self/mountinfo); do
  mount -o remount,bind,ro "$mount_point" 2>/dev/null
done
for directory in . /tmp "$HOME"; do
  if touch "$directory/.written" 2>/dev/null; then echo "$directory can be written" >&2; exit 9; fi
done
exec setpriv --reuid=${unprivilegedId} --regid=${unprivilegedId} --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"`;

function reasonToSkip(): string | false {
  if (process.getuid?.() !== 0) return 'the test needs root to drop privileges';
  try {
    execFileSync('unshare', ['--mount', '--propagation', 'private', 'true'], { stdio: 'ignore' });
    execFileSync('setpriv', ['--version'], { stdio: 'ignore' });
    execFileSync('setpriv', [`--reuid=${unprivilegedId}`, 'test', '-r', programs.server]);
    return false;
  } catch {
    return 'root cannot create a mount namespace on this machine, or an unprivileged user cannot read the programs';
  }
}

/** Copies the files that flags name to files that the unprivileged user can read. */
function readable(flags: Flags, directory: string): Flags {
  const copy = ([name, value]: [string, string | undefined]) => {
    if (!value?.startsWith('/') || !/cert|key/.test(name)) return [name, value];
    const path = join(directory, `${name}-${basename(value)}`);
    copyFileSync(value, path);
    chownSync(path, unprivilegedId, unprivilegedId);
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

/** The fields of `/proc/PID/status`. */
function privilegesOf({ pid }: RunningProcess): Record<string, string> {
  const rows = readFileSync(`/proc/${pid}/status`, 'latin1').split('\n');
  return Object.fromEntries(rows.map((row) => row.split(':\t') as [string, string]));
}

t.test('server and agent run without privileges', { skip: reasonToSkip() }, async (t) => {
  const directory = await makeTemporaryDirectory();
  t.teardown(() => directory.close());
  chmodSync(directory.path, 0o755);
  mkdirSync(join(directory.path, 'cwd'), { mode: 0o555 });
  const target = await startEchoTarget();
  t.teardown(() => target.close());

  const asGiven = await serverFlags('unused');
  // A Unix domain socket would need a directory that can be written.
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
    t.match(Uid, new RegExp(`^${unprivilegedId}\\t${unprivilegedId}\\t`));
    t.same([CapEff, CapPrm, CapBnd].map(Number), [0, 0, 0]);
    t.equal(NoNewPrivs, '1');
    const complaints = program.logs.filter(({ level }) => level === 'error' || level === 'fatal');
    t.same(complaints, []);
  }
});
