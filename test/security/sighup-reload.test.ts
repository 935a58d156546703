import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { closeAfter, connectThrough, programs, RunningProcess } from '@fairlead/testkit';
import t from 'tap';
import { loopback } from '../support/fleet.ts';
import { testPki } from './fixture.ts';

const pki = await testPki();

t.test('SIGHUP reloads files whose change the file system does not report', async (t) => {
  const agentPort = await pki.server(pki.agentCa, 'agent-port');
  // A change of a link's target does not change the directory that is watched.
  mkdirSync(pki.path('watched'));
  mkdirSync(pki.path('elsewhere'));
  const target = pki.path(join('elsewhere', 'policy.yaml'));
  writeFileSync(target, 'rules: []\n');
  symlinkSync(target, pki.path(join('watched', 'policy.yaml')));
  const path = pki.path('sighup.sock');
  const server = closeAfter(
    t,
    await RunningProcess.start(programs.server, [
      `--uds-name=${path}`,
      `--cluster-cert=${agentPort.cert}`,
      `--cluster-key=${agentPort.key}`,
      `--cluster-ca-cert=${pki.agentCaFile}`,
      `--agent-bind-address=${loopback}`,
      '--agent-port=0',
      `--health-bind-address=${loopback}`,
      '--health-port=0',
      '--admin-port=0',
      `--frontend-policy=${pki.path(join('watched', 'policy.yaml'))}`,
      '--reload-interval=24h',
    ]),
  );
  await server.waitForListener('frontend');
  const ask = async () => {
    const reply = await connectThrough({ via: { path }, target: 'node-1:1' });
    reply.socket.destroy();
    return reply.headers['fairlead-error'];
  };
  t.equal(await ask(), 'policy_denied');
  writeFileSync(target, 'rules: [{callers: [uds], allow: ["*"]}]\n');
  t.equal(await ask(), 'policy_denied', 'the file is not reloaded yet');
  server.kill('SIGHUP');
  t.match(await server.waitForLog('reloaded'), { files: 'front-end policy' });
  t.equal(await ask(), 'no_agent');
});
