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

t.test('`fairlead why` and `fairlead status` explain the state of a running server', async (t) => {
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

  const why = await fairlead('why', address, admin);
  t.equal(why.code, 0, why.stderr);
  t.equal(why.stdout.split('\n')[0], `target   ${address}`);
  t.match(why.stdout, /^policy {3}uds: allowed, allowed by "\*"$/m);
  t.match(why.stdout, /^policy {3}cn:narrow: DENIED, no rule allows it$/m);
  t.match(why.stdout, /^agents {3}strategy default finds 1$/m);
  t.match(why.stdout, /^ +node-1 at 127\.0\.0\.1:\d+, (1 stream|\d streams)$/m);
  t.match(why.stdout, /^ +not covered by its certificate: host=node-2$/m);
  t.match(why.stdout, /^choice {3}node-1, the only one$/m);
  t.match(why.stdout, /^dial {5}\S+ by mtls:frontend-client: policy_denied after \d+ ms$/m);
  t.match(why.stdout, /^dial {5}\S+ by uds through node-1: ok after \d+ ms$/m);

  const json = await fairlead('why', '10.0.0.1:80', admin, '--json', '--caller=cn:narrow,o:x');
  const report = JSON.parse(json.stdout) as WhyReport;
  t.match(report.policy, {
    isConfigured: true,
    callers: [{ caller: 'cn:narrow o:x', isAllowed: true, reason: 'allowed by "10.0.0.0/8"' }],
  });
  t.same(report.dials, []);

  const status = await fairlead('status', admin);
  t.equal(status.code, 0, status.stderr);
  t.match(
    status.stdout,
    /^server server-1, version \S+, up \d+ s: (1 stream|\d streams), 1 agent, agent authorization audit$/m,
  );
  t.match(status.stdout, /^node-1 +127\.0\.0\.1:\d+ +node +tls +/m);
  t.match(status.stdout, /^node-1: its certificate does not cover host=node-2$/m);
  t.match(status.stdout, /^node-1 claims host=node-1 host=node-2$/m);
  t.match(status.stdout, /^node-1 .* \d+(\.\d)? (B|KiB) +\d+(\.\d)? (B|KiB)$/m, 'sizes have units');
});

t.test(
  'for a target that no agent serves, `fairlead why` says what was asked and why agents are missing',
  async (t) => {
    const server = await startServer(t, {
      agentAuthorization: 'enforce',
      proxyStrategies: ['destHost', 'destCIDR'],
    });
    const admin = `--admin=${server.adminUrl.href}`;
    const node = await pki.agent({ name: 'node-of-why', hosts: ['node-1'] });
    await startAgent(t, server, node, { agentIdentifiers: 'host=node-1' });
    await server.log.line('agent connected');
    const other = await pki.agent({ name: 'other-of-why', hosts: ['node-2'] });
    await startAgent(t, server, other, { agentId: 'node-9', agentIdentifiers: 'host=node-9' });
    await server.log.line(/^agent refused/);

    const { code, stdout } = await fairlead('why', 'node-9:443', admin);
    t.equal(code, 0);
    t.match(stdout, /^agents {3}none serves this target$/m);
    t.match(stdout, /^asked {4}destHost, destCIDR$/m);
    t.match(stdout, /^claims {3}host=node-1$/m);
    t.match(stdout, /^refused {2}\S+ other-of-why at \S+: .*does not cover host=node-9$/m);

    const status = await fairlead('status', admin);
    t.match(status.stdout, /^refused \S+ other-of-why at \S+: .*does not cover host=node-9$/m);
  },
);

t.test('an invalid argument or an unreachable admin port gives one line of error', async (t) => {
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

t.test('the admin port can be one that fetch() blocks', async (t) => {
  // On a separate loopback address, which no other test uses.
  const admin = createServer((_, response) => response.writeHead(503).end('not yet\n'));
  admin.listen(10080, '127.77.0.1');
  await once(admin, 'listening');
  t.teardown(() => admin.close());
  const { code, stderr } = await fairlead('status', '--admin', 'http://127.77.0.1:10080');
  t.match({ code, stderr }, { code: 1, stderr: '127.77.0.1:10080/: 503: not yet' });
});
