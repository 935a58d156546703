import { once } from 'node:events';
import { createServer } from 'node:http';
import type { WhyReport } from '@fairlead/server';
import { connectThrough, startEchoTarget } from '@fairlead/testkit';
import t from 'tap';
import { runCommand } from '../../packages/cli/test/run-fairlead.ts';
import { loopback, startServer } from '../support/fleet.ts';
import { startAgent, testPki } from './fixture.ts';

const pki = await testPki();

const fairlead = (...argv: string[]) => runCommand(argv);

t.test('why and status of a running server', async (t) => {
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const address = `${loopback}:${target.port}`;
  const frontendPolicy = await pki.file(
    'why-policy.yaml',
    `rules:
  - callers: [uds]
    allow: ["*"]
  - callers: ["cn:narrow"]
    allow: ["10.0.0.0/8"]
`,
  );
  const server = await startServer(t, { frontendPolicy, serverId: 'server-1' });
  const admin = `--admin=${server.adminUrl.href}`;
  const early = await fairlead('why', address, admin);
  t.match(early, { code: 0, stdout: /^agents {3}none serves this target$/m });

  const node = await pki.agent({ name: 'node', hosts: ['node-1'] });
  await startAgent(t, server, node, { agentIdentifiers: 'host=node-1&host=node-2' });
  await server.log.line('agent connected');
  for (const via of [server.uds, server.tcp]) {
    (await connectThrough({ via, target: address })).socket.destroy();
  }

  const told = await fairlead('why', address, admin);
  t.equal(told.code, 0, told.stderr);
  t.equal(told.stdout.split('\n')[0], `target   ${address}`);
  t.match(told.stdout, /^policy {3}uds: allowed, allowed by "\*"$/m);
  t.match(told.stdout, /^policy {3}cn:narrow: DENIED, no rule allows it$/m);
  t.match(told.stdout, /^agents {3}strategy default finds 1$/m);
  t.match(told.stdout, /^ +node-1 at 127\.0\.0\.1:\d+, \d streams$/m);
  t.match(told.stdout, /^ +not covered by its certificate: host=node-2$/m);
  t.match(told.stdout, /^choice {3}node-1, the only one$/m);
  t.match(told.stdout, /^dial {5}\S+ by mtls:frontend-client: policy_denied after \d+ ms$/m);
  t.match(told.stdout, /^dial {5}\S+ by uds through node-1: ok after \d+ ms$/m);

  const asked = await fairlead('why', '10.0.0.1:80', admin, '--json', '--caller=cn:narrow,o:x');
  const report = JSON.parse(asked.stdout) as WhyReport;
  t.match(report.policy, {
    isConfigured: true,
    callers: [{ caller: 'cn:narrow o:x', isAllowed: true, reason: 'allowed by "10.0.0.0/8"' }],
  });
  t.same(report.dials, []);

  const status = await fairlead('status', admin);
  t.equal(status.code, 0, status.stderr);
  t.match(
    status.stdout,
    /^server server-1, version .*: \d streams, 1 agents, agent authorization audit$/m,
  );
  t.match(status.stdout, /^node-1 +127\.0\.0\.1:\d+ +node +tls +/m);
  t.match(status.stdout, /^node-1: its certificate does not cover host=node-2$/m);
});

t.test('a mistake is answered with one line', async (t) => {
  const server = await startServer(t);
  const admin = `--admin=${server.adminUrl.href}`;
  t.match(await fairlead('why', 'nonsense', admin), {
    code: 2,
    stderr: /^fairlead why: target: bad target "nonsense": want HOST:PORT.*\n$/,
  });
  t.match(await fairlead('why', 'a:1', admin, '--caller=root'), {
    code: 2,
    stderr: /^fairlead why: caller: "root" is none of uds, cn:NAME, o:NAME\n$/,
  });
  t.match(await fairlead('why', admin), { code: 2 });
  t.match(await fairlead('status', '--admin=http://127.0.0.1:1'), {
    code: 1,
    stderr: /^fairlead status: --admin http:\/\/127\.0\.0\.1:1\/: no answer \(.*\n$/,
  });
});

t.test('the admin port may be one that browsers do not ask', async (t) => {
  // On a separate loopback address, which no other test uses.
  const admin = createServer((_, response) => response.writeHead(503).end('not yet\n'));
  admin.listen(10080, '127.77.0.1');
  await once(admin, 'listening');
  t.teardown(() => admin.close());
  const { code, stderr } = await fairlead('status', '--admin', 'http://127.77.0.1:10080');
  t.match({ code, stderr }, { code: 1, stderr: '127.77.0.1:10080/: 503: not yet' });
});
