/** Token authentication: an agent without a valid token is refused, and both sides log the reason. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:tls';
import {
  ApiStatus,
  eventually,
  KubernetesApi,
  programs,
  RunningProcess,
  type TokenOwner,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { loopback, startServer, type TestServer } from '../support/fleet.ts';
import { startAgent, testPki } from './fixture.ts';

const pki = await testPki();
const everyTransport = ['tls', 'websocket', 'http2', 'grpc'] as const;
const noCertificate = { agentCert: undefined, agentKey: undefined };
const noIdentity = { cert: '', key: '', certPem: '', keyPem: '' };
const account = 'system:serviceaccount:kube-system:agent';

const bound = (node: string): TokenOwner => ({
  username: account,
  audiences: ['servers'],
  extra: { 'authentication.kubernetes.io/node-name': [node] },
});

interface TokenServer extends TestServer {
  readonly api: KubernetesApi;
}

async function start(
  t: Test,
  options: Parameters<typeof startServer>[1] = {},
): Promise<TokenServer> {
  const api = await KubernetesApi.start();
  const server = await startServer(t, {
    clusterCaCert: undefined,
    agentNamespace: 'kube-system',
    agentServiceAccount: 'agent',
    authenticationAudience: 'servers',
    kubeconfig: await api.kubeconfig(),
    ...options,
  });
  t.teardown(() => api.close());
  return { ...server, api };
}

/** An agent that has a token and no certificate. */
async function agentWith(
  t: Test,
  server: TestServer,
  token: string | undefined,
  options: Parameters<typeof startAgent>[3] = {},
) {
  const path = pki.path(`token-${Math.random()}`);
  if (token !== undefined) await writeFile(path, `${token}\n`);
  const agent = await startAgent(t, server, noIdentity, {
    ...noCertificate,
    ...(token !== undefined && { serviceAccountTokenPath: path }),
    // One attempt is enough.
    reconnectMin: 30_000,
    reconnectMax: 30_000,
    ...options,
  });
  return { ...agent, path };
}

interface RefusedToken {
  readonly owner?: TokenOwner;
  readonly token?: string;
  readonly reason: RegExp;
}

const refusedTokens: Record<string, RefusedToken> = {
  'no token': {
    reason: /^the agent sent no token: set --service-account-token-path on the agent$/,
  },
  'a token that the API does not know': {
    token: 'secret-unknown',
    reason: /^the Kubernetes API refused the token: \[invalid bearer token\]$/,
  },
  'a wrong audience': {
    token: 'secret-audience',
    owner: { username: account, audiences: ['api'] },
    reason: /invalid for the target audiences/,
  },
  'a wrong audience, from an authenticator that ignores audiences': {
    token: 'secret-no-audience',
    owner: { username: account, audiences: [], ignoresAudiences: true },
    reason: /^the token is not for the audience "servers"$/,
  },
  'a wrong namespace': {
    token: 'secret-namespace',
    owner: { username: 'system:serviceaccount:default:agent', audiences: ['servers'] },
    reason:
      /^the token belongs to namespace "default", but agents belong to "kube-system" \(--agent-namespace\)$/,
  },
  'a wrong account': {
    token: 'secret-account',
    owner: { username: 'system:serviceaccount:kube-system:default', audiences: ['servers'] },
    reason:
      /^the token belongs to service account "default", but agents use "agent" \(--agent-service-account\)$/,
  },
  'no service account': {
    token: 'secret-user',
    owner: { username: 'alice', audiences: ['servers'] },
    reason: /^the token belongs to "alice", which is not a service account$/,
  },
  'a review that fails': {
    token: 'secret-error',
    owner: { username: account, audiences: ['servers'], error: 'lookup failed' },
    reason: /^the Kubernetes API refused the token: lookup failed$/,
  },
};

for (const transport of everyTransport) {
  t.test(`over ${transport}: each invalid token is refused with its reason`, async (t) => {
    const server = await start(t);
    const { api, log } = server;
    for (const [name, { token, owner, reason }] of Object.entries(refusedTokens)) {
      if (owner) api.owners.set(token ?? '', owner);
      const before = log.of('agent refused').length;
      const agent = await agentWith(t, server, token, { transport });
      const failure = await agent.log.line('cannot connect');
      const refused = log.of('agent refused').slice(before);
      t.match(refused, [{ level: 'warn', reason }], `${name}: one line`);
      // The text around the reason depends on the transport.
      const unanchored = new RegExp(reason.source.replace(/^\^|\$$/g, ''));
      t.match(String(failure.detail), unanchored, `${name}: the agent logs the reason`);
      t.notMatch(JSON.stringify(agent.log.lines), 'secret-');
      await agent.agent.close();
    }
    await api.pause();
    const agent = await agentWith(t, server, 'secret-late', { transport });
    const unknown = /the token cannot be verified: the Kubernetes API at .* cannot be reached/;
    await log.line('agent refused', (line) => unknown.test(String(line.reason)));
    const failure = await agent.log.line('cannot connect');
    t.match(String(failure.detail), unknown, 'API down: the agent logs the reason');
    await agent.agent.close();

    t.same(log.of('agent connected'), []);
    t.notMatch(JSON.stringify(log.lines), 'secret-', 'no token is logged');
    const count = (reason: string) =>
      server.metric('fairlead_server_refused_agents_total', `{reason="${reason}"}`);
    t.equal(await count('token'), Object.keys(refusedTokens).length);
    t.equal(await count('authentication_unavailable'), 1);

    await api.resume();
    api.owners.set('secret-late', bound('node-1'));
    const late = await agentWith(t, server, 'secret-late', { transport });
    t.match(await log.line('agent connected'), { account, node: 'node-1' });
    await late.log.line('connected');
    const status = await (await fetch(new URL('/api/v1/status', server.adminUrl))).json();
    t.match(status, { agents: [{ account, node: 'node-1', commonName: null }] });
  });
}

t.test('an agent is refused if the server is not allowed to create token reviews', async (t) => {
  const server = await start(t);
  server.api.fault = () => new ApiStatus(403, 'Forbidden', 'tokenreviews is forbidden');
  await agentWith(t, server, 'secret', { transport: 'grpc' });
  const { reason } = await server.log.line('agent refused');
  t.match(reason, /cannot be verified: POST .*\/tokenreviews: 403 tokenreviews is forbidden$/);
  t.equal(await server.metric('fairlead_server_token_reviews_total', '{outcome="failed"}'), 1);
});

/** Sends bytes over TLS and reads until the server ends the connection. */
async function exchange(server: TestServer, protocol: string, bytes: Buffer | string) {
  const socket = connect({
    host: loopback,
    port: server.agentPort,
    servername: 'localhost',
    ca: pki.agentCa.certPem,
    ALPNProtocols: [protocol],
  });
  await once(socket, 'secureConnect');
  socket.write(bytes);
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

const badAuthorizations: Record<string, [string[], RegExp]> = {
  'two tokens': [
    ['Bearer secret-1', 'Bearer secret-2'],
    /^the agent sent 2 tokens: it must send one$/,
  ],
  'another scheme than Bearer': [
    ['Basic secret'],
    /^the Authorization header is not a bearer token/,
  ],
  'an empty Bearer': [['Bearer'], /^the Authorization header is not a bearer token/],
};

for (const [name, [authorizations, reason]] of Object.entries(badAuthorizations)) {
  t.test(`an Authorization header with ${name} is refused over WebSocket`, async (t) => {
    const server = await start(t);
    const lines = [
      ...['GET /fairlead/v1/tunnel HTTP/1.1', 'Host: x', 'Connection: Upgrade'],
      ...[
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
      ],
      ...[
        'Sec-WebSocket-Protocol: fairlead.v1',
        ...authorizations.map((a) => `Authorization: ${a}`),
      ],
    ];
    const answer = await exchange(server, 'http/1.1', `${lines.join('\r\n')}\r\n\r\n`);
    t.match(answer, /^HTTP\/1\.1 401 .*\r\n/);
    t.match(answer, 'fairlead-error: unauthenticated');
    t.match((await server.log.line('agent refused')).reason, reason);
    t.equal(server.api.count('POST review'), 0);
    t.notMatch(answer + JSON.stringify(server.log.lines), 'secret');
  });

  t.test(`an Authorization header with ${name} is refused over gRPC`, async (t) => {
    const server = await start(t);
    const head: [string, string][] = [
      ...([
        [':method', 'POST'],
        [':scheme', 'https'],
        [':path', '/AgentService/Connect'],
      ] as [string, string][]),
      ...([
        [':authority', 'x'],
        ['content-type', 'application/grpc'],
        ['agentid', 'go-1'],
      ] as [string, string][]),
      ...authorizations.map((value): [string, string] => ['authorization', value]),
    ];
    const answered = exchange(server, 'h2', rawHttp2Request(head));
    t.match((await server.log.line('agent refused')).reason, reason);
    await answered;
    t.same(server.log.of('agent connected'), []);
    t.equal(server.api.count('POST review'), 0);
    t.notMatch(JSON.stringify(server.log.lines), 'secret');
  });
}

/** Preface, SETTINGS, and one request (RFC 9113): Node's own client cannot send a header twice. */
function rawHttp2Request(headers: readonly (readonly [string, string])[]): Buffer {
  const frame = (type: number, flags: number, stream: number, payload: Buffer) => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  };
  // HPACK (RFC 7541 section 6.2.2): literals without indexing, all shorter than 127 bytes.
  const literal = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
  const block = headers.map(([name, value]) =>
    Buffer.concat([Buffer.from([0]), literal(name), literal(value)]),
  );
  const goAway = Buffer.alloc(8);
  return Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(4, 0, 0, Buffer.alloc(0)),
    frame(1, 4, 1, Buffer.concat(block)),
    frame(7, 0, 0, goAway),
  ]);
}

t.test('a token covers only the host of its node', async (t) => {
  const server = await start(t, { agentAuthorization: 'enforce' });
  server.api.owners.set('token-1', bound('Node-1'));
  for (const transport of everyTransport) {
    const agent = await agentWith(t, server, 'token-1', {
      transport,
      agentIdentifiers: 'host=node-1',
      agentId: `good-${transport}`,
    });
    await server.log.line('agent connected', ({ agent }) => agent === `good-${transport}`);
    await agent.agent.close();
    const claims = 'host=node-1&host=node-2&ipv4=10.0.0.1';
    const rogue = await agentWith(t, server, 'token-1', {
      transport,
      agentIdentifiers: claims,
      agentId: `rogue-${transport}`,
    });
    const refused = 'agent refused: its token does not cover it';
    t.match(await server.log.line(refused, ({ agent }) => agent === `rogue-${transport}`), {
      claims: ['host=node-2', 'ipv4=10.0.0.1'],
      node: 'Node-1',
    });
    const refusal = await rogue.log.line(/^(disconnected|cannot connect)$/);
    t.match(
      String(refusal.detail ?? refusal.reason),
      `the token of ${account} on Node-1 does not cover host=node-2, ipv4=10.0.0.1`,
    );
    await rogue.agent.close();
  }
});

t.test('a host that two nodes claim by their tokens is logged', async (t) => {
  const server = await start(t, { agentAuthorization: 'off' });
  for (const node of ['node-1', 'node-2']) {
    server.api.owners.set(node, bound(node));
    await agentWith(t, server, node, { agentId: node, agentIdentifiers: 'host=twice' });
  }
  t.match(await server.log.line('claimed twice'), { claim: 'host=twice' });
});

t.test('the agent rereads its token for each tunnel, and a node can be denied', async (t) => {
  const agentDenylist = await pki.file('denied-nodes', '');
  const server = await start(t, { agentDenylist, reloadInterval: 2 ** 30 });
  server.api.owners.set('first', bound('node-1'));
  server.api.owners.set('second', bound('node-2'));
  const agent = await agentWith(t, server, 'first', { reconnectMin: 50, reconnectMax: 100 });
  await server.log.line('agent connected', ({ node }) => node === 'node-1');
  writeFileSync(agent.path, 'second');
  writeFileSync(agentDenylist, 'node:node-1\n');
  t.match(await agent.log.line('disconnected'), { reason: '--agent-denylist has node:node-1' });
  await server.log.line('agent connected', ({ node }) => node === 'node-2');
  writeFileSync(agent.path, 'first');
  writeFileSync(agentDenylist, 'node:node-1\nnode:node-2\n');
  await server.log.line('agent refused', ({ reason }) => /node:node-1$/.test(String(reason)));
});

t.test(
  'agents with the same token share one review, and the rate of reviews is limited',
  async (t) => {
    const server = await start(t, { kubeconfigQps: 4, kubeconfigBurst: 2 });
    server.api.owners.set('shared', bound('node-1'));
    const same = ['a', 'b', 'c', 'd', 'e'];
    await Promise.all(same.map((agentId) => agentWith(t, server, 'shared', { agentId })));
    await Promise.all(
      same.map((id) => server.log.line('agent connected', ({ agent }) => agent === id)),
    );
    t.equal(server.api.count('POST review'), 1);
    const startedAtMs = performance.now();
    const others = ['1', '2', '3', '4'];
    for (const id of others) server.api.owners.set(`own-${id}`, bound(id));
    await Promise.all(others.map((agentId) => agentWith(t, server, `own-${agentId}`, { agentId })));
    await Promise.all(
      others.map((id) => server.log.line('agent connected', ({ agent }) => agent === id)),
    );
    t.equal(server.api.count('POST review'), 5);
    const tookMs = performance.now() - startedAtMs;
    t.ok(tookMs > 400, `two reviews waited a quarter of a second each: ${tookMs} ms`);
  },
);

t.test('with --cluster-ca-cert, an agent needs a certificate and a token', async (t) => {
  const server = await start(t, { clusterCaCert: pki.agentCaFile });
  server.api.owners.set('token', bound('node-1'));
  await agentWith(t, server, 'token', { agentId: 'no certificate' });
  await server.log.line(
    'agent refused',
    ({ reason }) => reason === 'no client certificate was given',
  );
  const credentials = await pki.agent({ name: 'node-9', hosts: ['node-9'] });
  const identity = { agentCert: credentials.cert, agentKey: credentials.key };
  await agentWith(t, server, undefined, { ...identity, agentId: 'no token' });
  await server.log.line('agent refused', ({ reason }) =>
    /^the agent sent no token/.test(String(reason)),
  );
  const claims = 'host=node-1&host=node-9';
  await agentWith(t, server, 'token', { ...identity, agentIdentifiers: claims, agentId: 'both' });
  t.match(await server.log.line('agent connected'), { agent: 'both', commonName: 'node-9' });
  const status = await (await fetch(new URL('/api/v1/status', server.adminUrl))).json();
  t.match(status, { agents: [{ covered: ['host=node-1', 'host=node-9'], uncovered: [] }] });
});

t.test('a peer without a token receives no addresses and no server count', async (t) => {
  const server = await start(t, {
    serverCount: 7,
    advertiseAgentAddress: { host: '127.9.8.7', port: 1 },
  });
  const pending = () => server.metric('fairlead_server_pending_handshakes');
  const socket = connect({
    host: loopback,
    port: server.agentPort,
    servername: 'localhost',
    ca: pki.agentCa.certPem,
    ALPNProtocols: ['fairlead/1'],
  });
  const [first] = (await once(socket, 'data')) as [Buffer];
  t.match(String(first), '"admitted":false');
  t.notMatch(String(first), /127\.9\.8\.7|serverCount/);
  t.equal(await pending(), 1);
  socket.destroy();
  server.api.owners.set('token', bound('node-1'));
  const agent = await agentWith(t, server, 'token');
  await agent.log.line('peer added');
  await eventually('no handshake is pending', async () => (await pending()) === 0);
});

t.test('an agent logs that it cannot read its token', async (t) => {
  const server = await start(t);
  for (const transport of everyTransport) {
    const { log } = await agentWith(t, server, undefined, {
      transport,
      serviceAccountTokenPath: '/no/such/token',
    });
    const failure = await log.line('cannot connect');
    t.match(
      String(failure.detail ?? failure.reason),
      /^--service-account-token-path: \/no\/such\/token: /,
    );
  }
});

t.test('a server without a valid kubeconfig does not start', async (t) => {
  const flags = [
    ...['--uds-name=/dev/null/x', '--cluster-cert=x', '--cluster-key=x'],
    ...['--agent-namespace=n', '--agent-service-account=a', '--authentication-audience=b'],
  ];
  const agentPort = await pki.server(pki.agentCa, 'no-api');
  const given = flags.map((flag) =>
    flag.replace(
      /(cert|key)=x$/,
      (_, kind) => `${kind}=${kind === 'cert' ? agentPort.cert : agentPort.key}`,
    ),
  );
  for (const [more, message] of [
    [[], /--kubeconfig is missing, and this process does not run in a pod/],
    [['--kubeconfig=/no/such'], /--kubeconfig: \/no\/such: file not found/],
  ] as const) {
    const server = await RunningProcess.start(programs.server, [...given, ...more]);
    t.match(await server.exit, { code: 2 });
    t.match(server.describe(), message);
  }
});
