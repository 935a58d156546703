import type { LookupAddress } from 'node:dns';
import { writeFileSync } from 'node:fs';
import { parseTargetRule } from '@fairlead/runtime/net';
import {
  type ConnectReply,
  connectThrough,
  Http2ConnectClient,
  startEchoTarget,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { loopback, startServer, type TestServer } from '../support/fleet.ts';
import { startAgent, testPki, tlsOf, transports } from './fixture.ts';

const pki = await testPki();
const node = await pki.agent({ name: 'node' });
const rule = (text: string) => parseTargetRule(text)!;

async function ask(server: TestServer, target: string): Promise<ConnectReply> {
  const reply = await connectThrough({ via: server.uds, target });
  reply.socket.destroy();
  return reply;
}

const denial = { status: 403, headers: { 'fairlead-error': 'policy_denied' } };
const lookups: string[] = [];

/** Resolves some names to sensitive addresses. */
async function lookup(name: string): Promise<LookupAddress[]> {
  lookups.push(name);
  if (name === 'metadata.example') return [{ address: '169.254.169.254', family: 4 }];
  if (name === 'mapped.example') return [{ address: '::ffff:169.254.169.254', family: 6 }];
  if (name === 'nat64.example') return [{ address: '64:ff9b::a9fe:a9fe', family: 6 }];
  return [{ address: loopback, family: 4 }];
}

for (const transport of transports) {
  t.test(`a name that resolves to cloud metadata is denied, over ${transport}`, async (t) => {
    const server = await startServer(t);
    const { agent } = await startAgent(t, server, node, { transport }, lookup);
    await server.log.line('agent connected');
    for (const name of ['metadata.example', 'mapped.example', 'nat64.example']) {
      const reply = await ask(server, `${name}:80`);
      t.match(reply, denial, name);
      t.match(reply.body, /the agent's policy: .* is link-local or cloud metadata/);
      t.match(reply.body, /\(policy_denied at the agent, target /);
    }
    const metrics = new URL('/metrics', `http://${loopback}:${agent.addresses.admin.port}`);
    const text = await (await fetch(metrics)).text();
    t.match(text, /^fairlead_agent_policy_denials_total 3$/m);
  });
}

t.test('every spelling of the cloud metadata address is denied', async (t) => {
  const server = await startServer(t);
  // The system's resolver reads all of these as addresses.
  await startAgent(t, server, node);
  await server.log.line('agent connected');
  const spellings = [
    '169.254.169.254',
    '2852039166',
    '0xa9fea9fe',
    '0251.0376.0251.0376',
    '169.16689662',
  ];
  for (const spelling of [...spellings, '[::ffff:169.254.169.254]', '[64:ff9b::a9fe:a9fe]']) {
    t.match(await ask(server, `${spelling}:80`), denial, spelling);
  }
});

t.test("the agent's own health and admin ports are denied", async (t) => {
  const server = await startServer(t);
  const { agent } = await startAgent(t, server, node, { allow: [rule('*')] });
  await server.log.line('agent connected');
  for (const { port } of [agent.addresses.health, agent.addresses.admin]) {
    for (const host of [loopback, '127.0.0.2', '0.0.0.0', '2130706433', 'localhost']) {
      t.match(await ask(server, `${host}:${port}`), denial, `${host}:${port}`);
    }
  }
});

t.test('the agent applies allow and deny rules, and reloads its policy file', async (t) => {
  const server = await startServer(t);
  const [open, closed] = await Promise.all([startEchoTarget(), startEchoTarget()]);
  t.teardown(() => Promise.all([open.close(), closed.close()]).then(() => {}));
  const policyFile = await pki.file('agent-policy.yaml', `deny: ["*:${closed.port}"]\n`);
  const { agent, log } = await startAgent(t, server, node, {
    allow: [rule('127.0.0.0/8')],
    policyFile,
    reloadInterval: 2 ** 30,
  });
  await server.log.line('agent connected');
  t.match(await ask(server, `${loopback}:${open.port}`), { status: 200 });
  t.match(await ask(server, `${loopback}:${closed.port}`), denial);
  t.match(await ask(server, `192.0.2.1:${open.port}`), denial, 'no rule allows it');

  const kept = await connectThrough({ via: server.uds, target: `${loopback}:${open.port}` });
  writeFileSync(policyFile, 'deny: [10.0.0.1/8]\n');
  agent.reload();
  t.match(log.of('new files are invalid, the previous ones stay in use'), [
    {
      files: 'policy',
      detail: /^--policy-file: .*agent-policy\.yaml:1: deny\.0: "10\.0\.0\.1\/8"/,
    },
  ]);
  t.match(
    await ask(server, `${loopback}:${closed.port}`),
    denial,
    'the previous policy stays in use',
  );
  writeFileSync(policyFile, `deny: ["*:${open.port}"]\n`);
  await log.line('reloaded');
  t.match(await ask(server, `${loopback}:${closed.port}`), { status: 200 });
  t.match(await ask(server, `${loopback}:${open.port}`), denial);
  kept.socket.write('still open');
  const [echo] = (await new Promise((resolve) =>
    kept.socket.once('data', (...args) => resolve(args)),
  )) as [Buffer];
  t.equal(String(echo), 'still open', 'an open stream stays open');
  kept.socket.destroy();
});

/** Requests a target over mTLS with a certificate of that name. */
async function askAs(t: Test, server: TestServer, name: string, target: string) {
  const client = await pki.client({ name, organizations: [`${name}-group`] });
  const via = { ...server.tcp, tls: tlsOf(pki, client) };
  const reply = await connectThrough({ via, target });
  reply.socket.destroy();
  const http2 = await Http2ConnectClient.open(via);
  t.teardown(() => http2.close());
  const second = await http2.connect(target);
  second.stream.destroy();
  t.equal(second.status, reply.status, 'HTTP/2 is answered with the same status');
  return reply;
}

t.test('the front-end policy allows and denies by certificate and by socket', async (t) => {
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const address = `${loopback}:${target.port}`;
  const frontendPolicy = await pki.file(
    'front-end-policy.yaml',
    `rules:
  - callers: ["cn:alice", "o:bob-group"]
    allow: ["127.0.0.0/8"]
  - callers: [uds]
    allow: ["node-*:10250", "*"]
    deny: ["127.0.0.1:${target.port}"]
`.replace('"node-*:10250", ', ''),
  );
  const server = await startServer(t, { frontendPolicy, reloadInterval: 2 ** 30 });
  await startAgent(t, server, node);
  await server.log.line('agent connected');
  t.match(await askAs(t, server, 'alice', address), { status: 200 });
  t.match(await askAs(t, server, 'bob', address), { status: 200 });
  t.match(
    await askAs(t, server, 'alice', `localhost:${target.port}`),
    denial,
    'a rule for a network does not match a name',
  );
  const reply = await askAs(t, server, 'mallory', address);
  t.match(reply, denial);
  t.match(reply.body, /no rule names cn:mallory, o:mallory-group \(policy_denied at the server, /);
  t.match(await ask(server, address), denial);
  t.match(
    await ask(server, `localhost:${target.port}`),
    denial,
    'a name could resolve to the denied address',
  );
  t.equal(await server.metric('fairlead_server_frontend_policy_denials_total'), 6);

  writeFileSync(frontendPolicy, 'rules: nonsense\n');
  server.server.reload();
  t.match(server.log.of('new files are invalid, the previous ones stay in use'), [
    { files: 'front-end policy', detail: /front-end-policy\.yaml:1: rules: / },
  ]);
  t.match(await askAs(t, server, 'mallory', address), denial, 'the previous policy stays in use');
  writeFileSync(frontendPolicy, 'rules: [{callers: ["*"], allow: ["*"]}]\n');
  await server.log.line('reloaded');
  t.match(await askAs(t, server, 'mallory', address), { status: 200 });
});

t.test('an invalid policy is a usage error at startup', async (t) => {
  const bad = await pki.file('bad.yaml', 'rules:\n  - callers: [nobody]\n');
  await t.rejects(startServer(t, { frontendPolicy: bad }), {
    name: 'UsageError',
    message: /^--frontend-policy: .*bad\.yaml:2: rules\.0\.callers\.0: /,
  });
  const server = await startServer(t);
  await t.rejects(startAgent(t, server, node, { policyFile: bad }), {
    name: 'UsageError',
    message: /^--policy-file: .*bad\.yaml:1: .*"rules"/,
  });
  const empty = await pki.file('empty.yaml', 'deny: []\nallow: []\n');
  await t.rejects(startAgent(t, server, node, { policyFile: empty }), {
    name: 'UsageError',
    message:
      /^--policy-file: .*empty\.yaml:2: allow: contains no rule\. Remove it to allow .*, or add a rule$/,
  });
});
