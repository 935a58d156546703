import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { createAuthority, issueCertificate, writeIssuerPki } from '@fairlead/pki';
import { makeToken } from '@fairlead/pki/enrollment';
import type { IssuerOptions } from '@fairlead/pki/issuer';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';
import { loopback, metric } from '../support/fleet.ts';
import { Installation, newRequest } from './enrollment-fixture.ts';
import { untilClosed } from './until-closed.ts';

const site = await Installation.make();

async function startIssuer(t: Test, options: Partial<IssuerOptions> = {}) {
  const started = await site.startIssuer(t, { reloadInterval: 2 ** 30, ...options });
  const enroll = async () => {
    const { text: token } = await site.token();
    return site.ask(started.port, '/v1/enrol', { body: { token, csr: newRequest().csr } });
  };
  return { ...started, enroll };
}

/** Opens a connection and closes it after the test. Its errors are ignored. */
function open(t: Test, make: () => Socket): Socket {
  const socket = make();
  socket.on('error', () => {});
  t.teardown(() => socket.destroy());
  return socket;
}

t.test('an invalid request is refused with an error message and logged', async (t) => {
  const { port, log, enroll } = await startIssuer(t);
  const long = { token: 'x'.repeat(20_000), csr: '' };
  const refusals = [
    [await site.ask(port, '/v1/secret-in-path'), { status: 404, code: 'bad_request' }],
    [await site.ask(port, '/v1/enrol'), { status: 405 }],
    [await site.ask(port, '/v1/ca', { body: {} }), { status: 405 }],
    [await site.ask(port, '/v1/enrol', { body: 'nonsense' }), { status: 400, error: /not JSON/ }],
    [
      await site.ask(port, '/v1/enrol', { body: { token: 'x' } }),
      { status: 400, error: 'the body must have token and csr, and nothing else' },
    ],
    [await site.ask(port, '/v1/enrol', { body: long }), { status: 413 }],
    [
      await site.ask(port, '/v1/renew', { body: newRequest() }),
      { status: 403, code: 'certificate_refused', error: /no client certificate was given/ },
    ],
  ] as const;
  for (const [answer, expected] of refusals) t.match(answer, expected);
  t.equal(log.of('enrollment refused').length, refusals.length);
  t.notMatch(JSON.stringify(log.lines), /secret-in-path|xxxx/);
  t.match(await enroll(), { status: 200 });
});

t.test('a connection without TLS is closed and logged with its address', async (t) => {
  const { port, log } = await startIssuer(t);
  const socket = open(t, () => connect(port, loopback));
  await once(socket, 'connect');
  const address = `${loopback}:${socket.localPort}`;
  socket.write('POST /v1/enrol HTTP/1.1\r\nHost: x\r\n\r\n');
  await untilClosed(socket.resume());
  const refused = [{ code: 'tls', address, reason: 'TLS failed: ERR_SSL_HTTP_REQUEST' }];
  t.match(log.of('enrollment refused'), refused);
  t.equal(log.of('enrollment refused').length, refused.length, 'once');
});

t.test('invalid HTTP is answered with an error and logged once', async (t) => {
  const { port, log } = await startIssuer(t);
  const tls = { host: loopback, port, ca: site.root.certPem, ALPNProtocols: ['http/1.1'] };
  for (const [text, status, reason] of [
    ['SSH-2.0-x\r\n\r\n', 400, /./],
    [`GET / HTTP/1.1\r\nx: ${'x'.repeat(10_000)}\r\n\r\n`, 431, /head is too long/],
  ] as const) {
    const before = log.of('enrollment refused').length;
    const socket = open(t, () => connectTls(tls));
    socket.write(text);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    t.match(answer.toString(), new RegExp(`^HTTP/1.1 ${status} `));
    const lines = log.of('enrollment refused').slice(before);
    t.match(lines, [{ code: 'bad_request', address: /^127/, reason }]);
    t.equal(lines.length, 1);
  }
});

t.test('a certificate that was not issued for a token is not renewed', async (t) => {
  const { port } = await startIssuer(t);
  const { csr } = newRequest();
  const renew = async (authority: typeof site.root, kind: 'agent' | 'server') => {
    const issued = await issueCertificate(authority, { kind, name: 'node-1', hosts: ['h'] });
    const { certPem: cert, keyPem: key } = issued;
    return site.ask(port, '/v1/renew', { body: { csr }, cert, key });
  };
  const evil = await createAuthority({ name: 'evil CA' });
  t.match(await renew(site.root, 'agent'), { status: 403, error: /not made for a token/ });
  t.match(await renew(site.root, 'server'), {
    status: 403,
    error: /extended key usage does not allow this use/,
  });
  t.match(await renew(evil, 'agent'), { status: 403, error: /a CA that is not trusted signed it/ });
});

t.test('slow and silent connections are closed, and other requests are answered', async (t) => {
  const time = controlTime(t);
  const { port, log, enroll } = await startIssuer(t, { maxConnections: 5, requestTimeout: 1000 });
  const silent = Array.from({ length: 40 }, () => open(t, () => connect(port, loopback)));
  const ended = silent.map(untilClosed);
  const slow = open(t, () =>
    connectTls({ host: loopback, port, ca: site.root.certPem, ALPNProtocols: ['http/1.1'] }),
  );
  const slowEnded = untilClosed(slow);
  await once(slow, 'secureConnect');
  slow.write('POST /v1/enrol HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{');
  t.match(await enroll(), { status: 200 }, 'a request between them');
  t.ok(
    log.lines.some(({ code }) => code === 'connections'),
    'the oldest connections are closed',
  );
  for (let sent = 0; sent < 9; sent++) {
    slow.write(' ');
    await time.advance(100);
  }
  t.notOk(
    log.lines.some(({ code }) => code === 'timeout'),
    'the others are open until the request timeout',
  );
  await time.advance(200);
  await Promise.all([slowEnded, ...ended]);
  t.ok(
    log.lines.some(({ code }) => code === 'timeout'),
    'after the timeout, even a connection that still sends is closed',
  );
});

t.test('guessing tokens is limited', async (t) => {
  // With the real clock, a slow machine would refill the limit between the attempts.
  controlTime(t);
  const { port, log, healthPort } = await startIssuer(t);
  const { csr } = newRequest();
  const guesses = Array.from({ length: 15 }, () => makeToken().text);
  const codes: (string | undefined)[] = [];
  for (const token of guesses) {
    codes.push((await site.ask(port, '/v1/enrol', { body: { token, csr } })).code);
  }
  const isUnknown = codes.map((code) => code === 'token_unknown');
  t.ok(isUnknown.slice(0, 10).every(Boolean));
  t.match(codes.at(-1), 'rate_limited', 'the source is limited');
  const { text: token } = await site.token();
  const answer = await site.ask(port, '/v1/enrol', { body: { token, csr } });
  t.match(answer, { status: 429, code: 'rate_limited', error: /too many refusals/ });
  t.equal(log.of('enrollment refused').length, guesses.length + 1);
  for (const guess of guesses) t.notMatch(JSON.stringify(log.lines), guess.split('.')[1]);
  const refused = await metric(
    { healthPort },
    'fairlead_issuer_refusals_total',
    '{code="token_unknown"}',
  );
  t.ok(refused >= 10);
});

t.test('requests beyond --max-requests-per-second are refused', async (t) => {
  controlTime(t);
  const { port } = await startIssuer(t, { maxRequestsPerSecond: 5 });
  const answers = await Promise.all(Array.from({ length: 12 }, () => site.ask(port, '/v1/ca')));
  t.ok(answers.some(({ status }) => status === 200));
  t.ok(answers.some(({ code }) => code === 'rate_limited'));
});

t.test('the CA files are reloaded, and invalid ones are ignored', async (t) => {
  const dir = site.path('swapped');
  const made = await writeIssuerPki(dir, site.root, { hosts: [], ips: [loopback] });
  const { enroll, log, issuer } = await startIssuer(t, {
    issuerCert: `${dir}/issuer.crt`,
    issuerKey: `${dir}/issuer.key`,
    serverCert: `${dir}/server.crt`,
    serverKey: `${dir}/server.key`,
  });
  const signer = async () => new X509Certificate((await enroll()).certificate!);
  t.ok((await signer()).verify(made.authority.certificate.publicKey));
  await writeFile(`${dir}/issuer.crt`, site.root.certPem);
  issuer.reload();
  const warning = await log.line('new files are invalid, the previous ones stay in use');
  t.match(warning.detail, /^--issuer-key: .* does not match the certificate in --issuer-cert/);
  t.ok(
    (await signer()).verify(made.authority.certificate.publicKey),
    'the previous CA still signs',
  );
  const renewed = await writeIssuerPki(dir, site.root, { hosts: [], ips: [loopback], force: true });
  issuer.reload();
  await log.line('reloaded');
  t.ok((await signer()).verify(renewed.authority.certificate.publicKey), 'the new CA signs');
});

t.test('an issuer does not start with a root CA or an unrelated CA', async (t) => {
  const file = (name: string, text: string) => site.file(name, text);
  await file('root.crt', site.root.certPem);
  await file('root.key', site.root.keyPem);
  await t.rejects(
    startIssuer(t, { issuerCert: site.path('root.crt'), issuerKey: site.path('root.key') }),
    { name: 'UsageError', message: /is a root CA, .* fairlead pki issuer$/ },
  );
  const other = await createAuthority({ name: 'other CA' });
  const caCert = await file('other.crt', other.certPem);
  await t.rejects(startIssuer(t, { caCert }), {
    name: 'UsageError',
    message: /is not signed by a CA in --ca-cert/,
  });
});
