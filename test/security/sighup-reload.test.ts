import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { closeAfter, connectThrough, programs, RunningProcess } from '@fairlead/testkit';
import t from 'tap';
import { loopback } from '../support/fleet.ts';
import { testPki } from './fixture.ts';

const pki = await testPki();

t.test('SIGHUP: files are looked at where the system tells of no change', async (t) => {
  const agentPort = await pki.server(pki.agentCa, 'agent-port');
  // A change behind a link is no change in the directory that is watched.
  mkdirSync(pki.path('watched'));
  mkdirSync(pki.path('elsewhere'));
  const behind = pki.path(join('elsewhere', 'policy.yaml'));
  writeFileSync(behind, 'rules: []\n');
  symlinkSync(behind, pki.path(join('watched', 'policy.yaml')));
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
  writeFileSync(behind, 'rules: [{callers: [uds], allow: ["*"]}]\n');
  t.equal(await ask(), 'policy_denied', 'the file was not read yet');
  server.kill('SIGHUP');
  t.match(await server.waitForLog('reloaded'), { files: 'front-end policy' });
  t.equal(await ask(), 'no_agent');
});
