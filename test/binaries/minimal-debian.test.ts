/** Binaries and the Debian package work in a minimal Debian. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  connectThrough,
  programs,
  type RunningProcess,
  startPodTarget,
  workspaceRoot,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { DebianRoot, debianRootSkipReason } from './debian-root.ts';

const skip = debianRootSkipReason() ?? false;
if (skip) t.comment(skip);

const binaries = resolve(workspaceRoot, process.env.FAIRLEAD_BIN_DIR ?? 'dist-binaries');
const packages = join(binaries, '..');
const debianPackage = existsSync(packages)
  ? readdirSync(packages).find((file) => file.endsWith('_amd64.deb'))
  : undefined;

/** Starts a server and an agent in the root, and opens a stream through both. */
async function checkRequest(t: Test, root: DebianRoot, directory: string, user = 'root') {
  const socket = '/run/fairlead/front-end.sock';
  const closeWithTest = (program: RunningProcess) => {
    t.teardown(async () => {
      await program.close();
      if (!t.passing()) t.comment(program.describe());
    });
    return program;
  };
  const server = closeWithTest(
    await root.start(
      join(directory, 'fairlead-server'),
      [
        `--uds-name=${socket}`,
        '--cluster-cert=/pki/agent/server.crt',
        '--cluster-key=/pki/agent/server.key',
        '--cluster-ca-cert=/pki/agent/ca.crt',
        '--agent-authorization=enforce',
        ...['--agent-port=0', '--health-port=0', '--admin-port=0'],
      ],
      user,
    ),
  );
  const { port } = await server.waitForListener('agent');
  closeWithTest(
    await root.start(
      join(directory, 'fairlead-agent'),
      [
        `--proxy-server-port=${port}`,
        '--ca-cert=/pki/agent/ca.crt',
        '--agent-cert=/pki/agent/agent.crt',
        '--agent-key=/pki/agent/agent.key',
        ...['--health-server-port=0', '--admin-server-port=0'],
      ],
      user,
    ),
  );
  await server.waitForLog('agent connected');
  const target = await startPodTarget();
  t.teardown(() => target.close());
  const reply = await connectThrough({
    via: { path: join(root.path, socket) },
    target: `127.0.0.1:${target.port}`,
  });
  t.equal(reply.status, 200, 'the stream is opened');
  reply.socket.destroy();
  server.kill();
  t.same(await server.exit, { code: 0, signal: null });
}

t.test('each binary runs alone', { skip }, async (t) => {
  const root = await DebianRoot.make(t);
  mkdirSync(join(root.path, 'opt/fairlead'), { recursive: true });
  mkdirSync(join(root.path, 'run/fairlead'));
  for (const name of ['server', 'agent', 'cli'] as const) {
    const file = programs[name];
    // Separate copies, so no binary can depend on another one or on a link.
    copyFileSync(file, join(root.path, 'opt/fairlead', file.split('/').at(-1)!));
  }
  t.match(root.run('/opt/fairlead/fairlead', '--version'), /^fairlead \d/);
  root.run('/opt/fairlead/fairlead', 'pki', 'init', '--out', '/pki');
  await checkRequest(t, root, '/opt/fairlead');
});

t.test('the Debian package installs and works', { skip: skip || !debianPackage }, async (t) => {
  const root = await DebianRoot.make(t);
  copyFileSync(join(packages, debianPackage!), join(root.path, 'fairlead.deb'));
  root.run('dpkg', '--install', '/fairlead.deb');
  t.match(root.run('getent', 'passwd', 'fairlead'), /:\/nonexistent:\/usr\/sbin\/nologin$/m);
  t.equal(statSync(join(root.path, 'etc/fairlead')).mode & 0o777, 0o750);
  t.match(root.run('stat', '--format=%U:%G', '/etc/fairlead'), 'root:fairlead');
  const conffiles = root.run('cat', '/var/lib/dpkg/info/fairlead.conffiles');
  t.match(conffiles, '/etc/fairlead/server.yaml');
  t.match(conffiles, '/etc/fairlead-issuer/issuer.yaml');
  t.match(
    root.run('stat', '--format=%a %U:%G', '/etc/fairlead-issuer'),
    '750 root:fairlead-issuer',
  );
  for (const program of ['server', 'agent', 'issuer']) {
    t.ok(existsSync(join(root.path, `lib/systemd/system/fairlead-${program}.service`)), program);
  }
  t.equal(root.run('dpkg', '--verify', 'fairlead'), '', 'installed files match their checksums');

  root.run('fairlead', 'pki', 'init', '--out', '/pki');
  root.run('chown', '-R', 'fairlead:fairlead', '/pki');
  root.run('install', '-d', '-o', 'fairlead', '-g', 'fairlead', '/run/fairlead');
  await checkRequest(t, root, '/usr/bin', 'fairlead:fairlead');

  root.run('sh', '-c', 'echo "# changed" >> /etc/fairlead/server.yaml');
  root.run('dpkg', '--install', '/fairlead.deb');
  t.match(
    root.run('tail', '-1', '/etc/fairlead/server.yaml'),
    '# changed',
    'an upgrade keeps changed configuration',
  );
  root.run('dpkg', '--purge', 'fairlead');
  for (const path of [
    'etc/fairlead',
    'etc/fairlead-issuer',
    'usr/bin/fairlead',
    'usr/bin/fairlead-server',
  ]) {
    t.notOk(existsSync(join(root.path, path)), `${path} is removed`);
  }
});
if (!skip && !debianPackage) {
  t.comment(
    'SKIPPED: dist-binaries has no .deb. Build one with npm run build:deb, or build and test it with npm run test:deb.',
  );
}
