import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { createAuthority, type IssuedCertificate, issueCertificate } from '@fairlead/pki';
import {
  connectThrough,
  LogWatch,
  pickPort,
  type RunningProcess,
  startEchoTarget,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { loopback } from '../support/fleet.ts';
import { Installation, isPlainClient, newRequest, runFairlead } from './enrollment-fixture.ts';

const modeOf = async (path: string): Promise<string> =>
  ((await stat(path)).mode & 0o777).toString(8);

/** Everything that a process has printed. */
const outputOf = (process: RunningProcess): string =>
  process.stdout + process.logs.map((line) => JSON.stringify(line)).join('\n');

t.test('an agent joins with a token, serves streams, and restarts without it', async (t) => {
  const site = await Installation.make();
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const [issuer, server] = await Promise.all([site.startIssuerProcess(t), site.startServer(t)]);
  const made = await runFairlead(
    ...['token', 'create', '--token-dir', site.path('tokens'), '--json'],
    ...['--ca-cert', site.path('issuer/ca.crt'), '--agent-id', 'node-1', '--ip', loopback],
  );
  t.match(made, { code: 0, stderr: '' });
  const { token, id, caHashes } = JSON.parse(made.stdout) as Record<string, string>;
  t.match(token, /^[a-z2-7]{12}\.[a-z2-7]{32}$/);
  const tokenFile = await site.file('token', `${token}\n`);
  const flags = {
    'enrollment-server': `localhost:${issuer.port}`,
    'enrollment-ca-hash': String(caHashes),
    'proxy-server-port': String(server.agentPort),
  };
  const agent = await site.startAgentProcess(t, { ...flags, 'enrollment-token-file': tokenFile });
  t.match(await agent.waitForLog('joined'), { subject: 'CN=node-1' });
  t.match(await server.log.line('agent connected'), { commonName: 'node-1' });
  const reply = await connectThrough({ via: server.uds, target: `${loopback}:${target.port}` });
  t.equal(reply.status, 200);
  reply.socket.write('hello');
  t.equal(String((await once(reply.socket, 'data'))[0]), 'hello');
  reply.socket.destroy();

  t.equal(await modeOf(site.path('identity')), '700');
  t.equal(await modeOf(site.path('identity/agent.pem')), '600');
  const pem = await readFile(site.path('identity/agent.pem'), 'utf8');
  const certificate = new X509Certificate(pem.slice(pem.indexOf('-----BEGIN CERT')));
  t.equal(
    certificate.subjectAltName,
    `IP Address:${loopback}, URI:fairlead:enrolment=${id}`,
    'the names of the token',
  );
  t.ok(isPlainClient(certificate));
  t.ok(certificate.checkIssued(site.issuer.certificate), 'signed by the intermediate');
  const issued = await issuer.process.waitForLog('certificate issued');
  t.match(issued, { request: 'enrol', enrolment: id, subject: 'CN=node-1' });
  t.equal(issued.serialNumber, certificate.serialNumber.toLowerCase());
  const secret = token!.split('.')[1]!;
  for (const process of [issuer.process, agent]) {
    t.notMatch(outputOf(process), secret, `${process.name} does not print the token`);
  }
  t.notMatch(server.log.written.join(''), secret, 'the server does not log the token');
  t.match(
    JSON.parse(
      (await runFairlead('token', 'list', '--json', '--token-dir', site.path('tokens'))).stdout,
    ),
    [{ id, state: 'redeemed', agentId: 'node-1' }],
  );

  const options = {
    enrollmentServer: { host: loopback, port: issuer.port },
    proxyServerPort: server.agentPort,
  };
  const second = site.startAgent(t, {
    ...options,
    identityDir: site.path('identity-2'),
    enrollmentTokenFile: tokenFile,
  });
  await t.rejects(
    second,
    {
      name: 'StartupError',
      message: /cannot join: .*refused \(token_used\): the token was redeemed at /,
    },
    'another agent cannot use the same token',
  );
  t.match(await issuer.process.waitForLog('enrollment refused'), {
    code: 'token_used',
    enrolment: id,
  });

  await agent.close();
  await issuer.process.close();
  const again = await site.startAgent(t, options);
  await again.log.line('connected');
  t.same(
    again.log.lines.filter(({ msg }) => msg === 'joined' || msg === 'cannot join'),
    [],
    'it does not join again',
  );
});

/** Starts a server that impersonates the issuer, answers with these credentials and records what it receives. */
async function startImpostor(t: Test, shown: IssuedCertificate, caPem: string) {
  const received: Buffer[] = [];
  const server = createServer({
    cert: shown.certPem,
    key: shown.keyPem,
    ALPNProtocols: ['http/1.1'],
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk);
      const head = `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(caPem)}\r\n\r\n`;
      socket.end(head + caPem);
    });
  });
  server.on('tlsClientError', () => {});
  server.listen(0, loopback);
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as { port: number };
  return { port, text: () => Buffer.concat(received).toString('latin1') };
}

t.test('an agent sends no secret to a server that impersonates the issuer', async (t) => {
  const site = await Installation.make();
  const token = await site.token();
  const enrollmentTokenFile = await site.file('token', token.text);
  const evil = await createAuthority({ name: 'evil CA' });
  const names = { kind: 'server', name: 'i', ips: [loopback] } as const;
  const [foreign, stolen] = await Promise.all([
    issueCertificate(evil, names),
    issueCertificate(site.issuer, names),
  ]);
  const impostors = [
    ['another CA', foreign, evil.certPem, /shows another CA than --enrollment-ca-hash names/],
    ['the real CA, but a certificate of another CA', foreign, site.root.certPem, /was refused for/],
    [
      'a certificate signed with the stolen key of the issuer',
      stolen,
      site.root.certPem,
      /its extended key usage does not allow this use/,
    ],
  ] as const;
  for (const [what, shown, caPem, complaint] of impostors) {
    const impostor = await startImpostor(t, shown, caPem);
    const log = new LogWatch();
    const enrollmentServer = { host: loopback, port: impostor.port };
    const agent = site.startAgent(t, { enrollmentServer, enrollmentTokenFile }, log);
    const error = await agent.then(
      () => new Error('it joined'),
      (error: Error) => error,
    );
    t.match(error, { name: 'StartupError', message: complaint }, what);
    t.match(impostor.text(), /^GET \/v1\/ca HTTP/, what);
    t.notMatch(impostor.text(), token.text.split('.')[1], what);
    t.notMatch(impostor.text(), 'POST', what);
    t.notMatch(error.message + log.written.join(''), token.text.split('.')[1], what);
  }
});

t.test('a denied agent cannot use its old token again', async (t) => {
  const site = await Installation.make();
  const denied = await site.file('denied', '# empty\n');
  const { issuer, log, port } = await site.startIssuer(t, {
    ...{ agentDenylist: denied, reloadInterval: 2 ** 30 },
  });
  const deny = async (entry: string) => {
    const before = log.of('reloaded').length;
    await site.file('denied', `${entry}\n`);
    issuer.reload();
    await log.lineAfter(before, 'reloaded');
  };
  for (const entryOf of [(id: string) => `enrollment:${id}`, () => 'cn:node-1']) {
    const { text: token, id } = await site.token();
    const { csr } = newRequest();
    const ask = () => site.ask(port, '/v1/enrol', { body: { token, csr } });
    t.match(await ask(), { status: 200 });
    await deny(entryOf(id));
    t.match(await ask(), { status: 403, code: 'certificate_refused' }, entryOf(id));
    const refusal = await log.line('enrollment refused', ({ enrolment }) => enrolment === id);
    t.match(refusal, { reason: `--agent-denylist has ${entryOf(id)}` });
    await deny('# empty');
  }
});

t.test('the names of a certificate come from the token, not from the request', async (t) => {
  const site = await Installation.make();
  const { log, port } = await site.startIssuer(t);
  const config = await site.file(
    'greedy.cnf',
    `[req]\ndistinguished_name = dn\nreq_extensions = want\nprompt = no\n[dn]\nCN = node-9\nO = system:masters\n[want]\nsubjectAltName = DNS:node-9.example, IP:10.9.9.9, URI:fairlead:default-route\nbasicConstraints = critical, CA:true\nkeyUsage = critical, keyCertSign, digitalSignature\nextendedKeyUsage = serverAuth, clientAuth\n`,
  );
  const keys = {
    'EC P-256': ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    'EC P-384': ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
    'RSA 2048': ['rsa:2048'],
  };
  for (const [kind, args] of Object.entries(keys)) {
    const csr = execFileSync(
      'openssl',
      ['req', '-new', '-nodes', '-config', config, '-keyout', site.path('k'), '-newkey', ...args],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const { text, id } = await site.token({
      hosts: ['node-1.example'],
      ips: [],
      cidrs: ['10.1.0.0/16-24'],
    });
    const answer = await site.ask(port, '/v1/enrol', { body: { token: text, csr } });
    t.equal(answer.status, 200, kind);
    const certificate = new X509Certificate(answer.certificate!);
    t.equal(certificate.subject, 'CN=node-1', kind);
    t.equal(
      certificate.subjectAltName,
      `DNS:node-1.example, URI:fairlead:cidr=10.1.0.0/16-24, URI:fairlead:enrolment=${id}`,
      kind,
    );
    t.ok(isPlainClient(certificate), kind);
  }

  const { text } = await site.token();
  const good = newRequest();
  const ask = (token: string, csr: string) => site.ask(port, '/v1/enrol', { body: { token, csr } });
  const flipped = Buffer.from(good.csr.split('\n').slice(1, -2).join(''), 'base64');
  flipped[flipped.length - 1]! ^= 1;
  const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${flipped.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  t.match(await ask(text, forged), { status: 400, code: 'bad_request' });
  t.match(await ask(text, 'no request'), { status: 400, code: 'bad_request' });
  t.match(await ask(text, good.csr), { status: 200 }, 'a bad request does not use up the token');
  t.match(
    await ask(text, good.csr),
    { status: 200 },
    'the same request is answered again, in case the answer was lost',
  );
  t.match(await ask(text, newRequest().csr), { status: 401, code: 'token_used' });
  const wrong = `${text.slice(0, -1)}${text.endsWith('a') ? 'b' : 'a'}`;
  t.match(await ask(wrong, good.csr), { status: 401, code: 'token_unknown' });
  t.match(await ask('no token', good.csr), { status: 401, code: 'token_unknown' });
  const expired = await site.token({}, 1);
  t.match(await ask(expired.text, good.csr), { status: 401, code: 'token_expired' });
  const revoked = await site.token();
  t.match(await runFairlead('token', 'revoke', revoked.id, '--token-dir', site.path('tokens')), {
    code: 0,
    stdout: `Revoked ${revoked.id}.\n`,
  });
  t.match(await ask(revoked.text, good.csr), { status: 401, code: 'token_unknown' });
  t.equal(log.of('enrollment refused').length, 7, 'one line each');
  t.notMatch(log.written.join(''), text.split('.')[1]);
});

t.test('if several agents redeem one token at two issuers, exactly one succeeds', async (t) => {
  const site = await Installation.make();
  const issuers = await Promise.all([site.startIssuerProcess(t), site.startIssuerProcess(t)]);
  for (let round = 0; round < 3; round++) {
    const { text: token } = await site.token();
    const answers = await Promise.all(
      [0, 1, 2, 3].map((index) =>
        site.ask(issuers[index % 2]!.port, '/v1/enrol', { body: { token, csr: newRequest().csr } }),
      ),
    );
    t.same(answers.map(({ status }) => status).sort(), [200, 401, 401, 401]);
  }
});

t.test('a token on the command line is refused', async (t) => {
  const site = await Installation.make();
  const { text } = await site.token();
  const server = { 'enrollment-server': `${loopback}:1` };
  const flagged = await site.startAgentProcess(t, { ...server, 'enrollment-token': text });
  t.match(await flagged.exit, { code: 2 });
  t.match(
    outputOf(flagged),
    /--enrollment-token: all users of this machine can read a command line; use --enrollment-token-file or FAIRLEAD_ENROLLMENT_TOKEN/,
  );
  t.notMatch(outputOf(flagged), text.slice(0, 20));
  const enrollmentServer = { host: loopback, port: 1 };
  await t.rejects(site.startAgent(t, { enrollmentServer }), {
    name: 'UsageError',
    message: /--identity-dir holds no certificate yet: give a token/,
  });

  const { port } = await site.startIssuer(t);
  const agent = await site.startAgentProcess(
    t,
    { 'enrollment-server': `${loopback}:${port}` },
    { FAIRLEAD_ENROLLMENT_TOKEN: text },
  );
  await agent.waitForLog('joined');
  t.notMatch(outputOf(agent), text.split('.')[1]);
});

t.test('an agent waits for an issuer that is not running yet', async (t) => {
  const site = await Installation.make();
  const port = await pickPort();
  const { text: enrollmentToken } = await site.token();
  const enrollmentServer = { host: loopback, port };
  const { agent, log } = await site.startAgent(t, { enrollmentServer, enrollmentToken });
  t.match(await log.line('cannot join'), { isFinal: false });
  const { port: healthPort } = agent.addresses.health;
  t.equal((await fetch(`http://${loopback}:${healthPort}/readyz`)).status, 503);
  await site.startIssuer(t, { enrollmentPort: port });
  await log.line('joined');
});
