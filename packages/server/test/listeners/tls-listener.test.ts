import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { createAuthority, issueCertificate } from '@fairlead/pki';
import type { Caller } from '@fairlead/server/internal';
import {
  connectHead,
  exchangeRaw,
  makeTemporaryDirectory,
  openFrontEnd,
  readText,
  sharedTestPki,
} from '@fairlead/testkit';
import t from 'tap';
import {
  failingDial,
  PendingDial,
  startFrontEnd,
  startTunnel,
} from '../front-end/front-end-fixture.ts';

const run = promisify(execFile);

/** Connects and waits until the server closes. With TLS 1.3 it closes after the handshake. */
function tryTls(port: number, options: ConnectionOptions): Promise<void> {
  return new Promise((resolve) => {
    const socket = connectTls({ host: '127.0.0.1', port, servername: 'localhost', ...options });
    socket.on('error', () => {});
    socket.on('end', () => socket.destroy());
    socket.on('close', () => resolve());
    socket.resume();
    socket.write(connectHead('a:1'));
  });
}

t.test('refused TLS clients are logged with the reason', async (t) => {
  const pki = await sharedTestPki();
  const { ca, client, expiredClient } = pki.frontend;
  const foreign = pki.foreign.client;
  const refusals: [what: string, options: ConnectionOptions, reason: RegExp][] = [
    ['no certificate', { ca }, /no client certificate/],
    [
      'a certificate of another CA',
      { ca, cert: foreign.cert, key: foreign.key },
      /SELF_SIGNED|UNABLE_TO/,
    ],
    [
      'an expired certificate',
      { ca, cert: expiredClient.cert, key: expiredClient.key },
      /CERT_HAS_EXPIRED/,
    ],
    [
      'TLS 1.1',
      { ca, cert: client.cert, key: client.key, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' },
      /UNSUPPORTED_PROTOCOL|NO_SHARED|INTERNAL|VERSION|UNEXPECTED_MESSAGE/,
    ],
    [
      'an ALPN protocol that is not served',
      { ca, cert: client.cert, key: client.key, ALPNProtocols: ['acme/1'] },
      /NO_APPLICATION_PROTOCOL/,
    ],
  ];
  const pending = new PendingDial();
  for (const [what, options, reason] of refusals) {
    t.test(what, async (t) => {
      const { tls, seen, until } = await startFrontEnd(t, pending.dial);
      const [, line] = await Promise.all([
        tryTls(tls.port, options),
        until(({ logs }) => logs.find(({ level }) => level === 'warn')),
      ]);
      t.match(line, { message: 'TLS client refused', listener: 'frontend', reason });
      t.notMatch(line.detail, /error:|routines|\.c:/, "not OpenSSL's own text");
      // Newer Node versions report a client of TLS 1.1 after it has disconnected.
      t.match(
        line.address,
        what === 'TLS 1.1' ? /^(127\.0\.0\.1:\d+|unknown)$/ : /^127\.0\.0\.1:\d+$/,
      );
      t.equal(seen.logs.filter(({ level }) => level === 'warn').length, 1);
      t.same(seen.dials, []);
    });
  }

  const resuming: [what: string, options: ConnectionOptions][] = [
    ['no certificate', { ca }],
    ['a certificate of another CA', { ca, cert: foreign.cert, key: foreign.key }],
    ['an expired certificate', { ca, cert: expiredClient.cert, key: expiredClient.key }],
  ];
  for (const [what, options] of resuming) {
    t.test(`a session resumed after a refusal for ${what} is refused again`, async (t) => {
      const { tls, seen, until } = await startFrontEnd(t, pending.dial);
      const warnings = () => seen.logs.filter(({ level }) => level === 'warn').length;
      let session: Buffer | undefined;
      const first = connectTls({
        host: '127.0.0.1',
        port: tls.port,
        servername: 'localhost',
        ...options,
      });
      first.on('error', () => {});
      first.on('session', (ticket) => {
        session = ticket;
      });
      first.on('end', () => first.destroy());
      first.resume();
      await new Promise((resolve) => first.once('close', resolve));
      await until(() => warnings() === 1);
      await tryTls(tls.port, { ...options, ...(session && { session }) });
      await until(() => warnings() === 2);
      t.same(seen.dials, []);
    });
  }

  t.test('plain HTTP is logged as a refusal', async (t) => {
    const { tls, until } = await startFrontEnd(t, pending.dial);
    const { text } = await exchangeRaw({ host: '127.0.0.1', port: tls.port }, connectHead('a:1'));
    t.notMatch(text, 'HTTP/1.1 200');
    const line = await until(({ logs }) => logs.find(({ level }) => level === 'warn'));
    t.match(line.reason, /HTTP_REQUEST|WRONG_VERSION|HTTPS_PROXY_REQUEST/);
  });

  t.test('a silent TCP connection is closed at the handshake’s deadline', async (t) => {
    const { tls, until } = await startFrontEnd(t, pending.dial, { handshakeTimeoutMs: 100 });
    const { text } = await exchangeRaw({ host: '127.0.0.1', port: tls.port }, '');
    t.equal(text, '');
    const line = await until(({ logs }) => logs.find(({ level }) => level === 'warn'));
    t.match(line.reason, 'ERR_TLS_HANDSHAKE_TIMEOUT');
  });

  t.test('a port probe is not logged as a refusal', async (t) => {
    const { tls, until } = await startFrontEnd(t, pending.dial);
    const probe = connectTcp({ host: '127.0.0.1', port: tls.port });
    await once(probe, 'connect');
    probe.end();
    const line = await until(({ logs }) =>
      logs.find(({ message }) => message.startsWith('closed')),
    );
    t.equal(line.level, 'debug');
  });
  t.equal(pending.started.length, 0);
});

t.test('the caller has the names of its certificate, or uds', async (t) => {
  const pki = await sharedTestPki();
  const pending = new PendingDial();
  const { tls, uds, frontEnd } = await startFrontEnd(t, pending.dial);
  const callers: Caller[] = [];
  const dialedCaller = async (via: Parameters<typeof openFrontEnd>[0]) => {
    const socket = await openFrontEnd(via);
    socket.write(connectHead('a:1'));
    await pending.until(callers.length + 1);
    callers.push(pending.started.at(-1)!.caller);
    socket.destroy();
    return callers.at(-1)!;
  };
  t.match(await dialedCaller(tls), {
    kind: 'mtls',
    commonName: 'frontend-client',
    organizations: ['fairlead:tests'],
    address: /^127\.0\.0\.1:\d+$/,
  });
  t.same(await dialedCaller(uds), { kind: 'uds', organizations: [], address: uds.path });

  t.test('a caller has all organizations, and a new CA applies', async (t) => {
    const authority = await createAuthority({ name: 'second CA' });
    const issued = await issueCertificate(authority, {
      kind: 'client',
      name: 'admin',
      organizations: ['system:masters', 'ops'],
    });
    const { ca, server } = pki.frontend;
    const listener = await frontEnd.listenTls({
      host: '127.0.0.1',
      port: 0,
      tls: { ca, cert: server.cert, key: server.key },
      handshakeTimeoutMs: 60_000,
      keepAliveMs: 0,
    });
    const { port } = listener.address;
    listener.setSecureContext({ ca: authority.certPem, cert: server.cert, key: server.key });
    const caller = await dialedCaller({
      host: '127.0.0.1',
      port,
      tls: { ca, cert: issued.certPem, key: issued.keyPem },
    });
    t.match(caller, { commonName: 'admin' });
    t.same(caller.organizations, ['system:masters', 'ops']);
  });
});

t.test('a client without ALPN can use HTTP/1.1', async (t) => {
  const { tls } = await startFrontEnd(t, failingDial('no_agent'));
  const socket = connectTls({
    ...tls.tls,
    host: '127.0.0.1',
    port: tls.port,
    servername: 'localhost',
  });
  socket.write(connectHead('a:1'));
  socket.on('end', () => socket.end());
  t.match(await readText(socket), /^HTTP\/1\.1 503 /);
});

t.test('HTTP/2’s preface without ALPN h2 is refused', async (t) => {
  const { tls } = await startFrontEnd(t, failingDial('no_agent'));
  const { text } = await exchangeRaw(tls, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  t.match(text, /^$|^HTTP\/1\.1 4/);
});

t.test('curl reaches an HTTPS target', async (t) => {
  const pki = await sharedTestPki();
  const directory = await makeTemporaryDirectory();
  t.teardown(() => directory.close());
  const { ca, server, client } = pki.frontend;
  const target = createServer({ cert: server.cert, key: server.key }, (_request, response) =>
    response.end('hello from the target'),
  );
  target.listen(0, '127.0.0.1');
  await once(target, 'listening');
  t.teardown(() => target.close());
  const { port } = target.address() as { port: number };
  const { tls } = await startFrontEnd(t, await startTunnel(t));
  const file = async (name: string, text: string) => {
    const path = join(directory.path, name);
    await writeFile(path, text);
    return path;
  };
  const caFile = await file('ca', ca);
  const args = ['--silent', '--show-error', '--proxy', `https://localhost:${tls.port}`];
  args.push('--proxy-cacert', caFile, '--proxy-cert', await file('cert', client.cert));
  args.push('--proxy-key', await file('key', client.key), '--cacert', caFile);
  try {
    const { stdout } = await run('curl', [...args, `https://127.0.0.1:${port}/`]);
    t.equal(stdout, 'hello from the target');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    t.comment('curl is not installed');
  }
});
