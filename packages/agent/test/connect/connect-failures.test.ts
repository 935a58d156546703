import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { connectGrpc, connectHttp2, connectTls, connectWebSocket } from '@fairlead/agent/internal';
import { startBlackholeTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import {
  agentTls,
  certificates,
  exchange,
  failure,
  kinds,
  serverTls,
  timeoutMs,
} from './connect-fixtures.ts';
import {
  listenForTest,
  startHttp2Server,
  startTlsServer,
  startWebSocketServer,
} from './tunnel-servers.ts';

t.test('errors on the path to the server', async (t) => {
  t.test('a port that does not answer the SYN is a dial timeout', async (t) => {
    const target = await startBlackholeTarget();
    t.teardown(() => target.close());
    const error = await failure(connectTls(target, agentTls, { timeoutMs: 100 }));
    t.equal(error.reason, 'dial_timeout');
    t.match(error.message, `dial tcp 127.0.0.1:${target.port}: i/o timeout`);
    t.notOk(error.otherTransportMayWork);
  });

  t.test('a name that does not resolve is a DNS failure', async (t) => {
    // Too long for a DNS label (RFC 1035), so it is not looked up.
    const host = `${'x'.repeat(64)}.test`;
    const error = await failure(connectTls({ host, port: 443 }, agentTls, { timeoutMs }));
    t.equal(error.reason, 'dns_failed');
    t.match(error.message, `lookup ${host}: `);
    t.notOk(error.otherTransportMayWork);
  });

  t.test('a server without TLS is tls_unavailable', async (t) => {
    const plain = net.createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const { port } = await listenForTest(t, plain);
    const error = await failure(connectTls({ host: '127.0.0.1', port }, agentTls, { timeoutMs }));
    t.equal(error.reason, 'tls_unavailable');
    t.notOk(error.otherTransportMayWork);
  });

  t.test('a server with TLS 1.2 is refused unless it is allowed', async (t) => {
    const server = await startTlsServer(t, { ...serverTls, maxVersion: 'TLSv1.2' });
    const endpoint = { host: '127.0.0.1', port: server.port };
    const error = await failure(connectTls(endpoint, agentTls, { timeoutMs }));
    t.equal(error.reason, 'tls_unavailable');
    const lenient = { ...agentTls, minVersion: 'TLSv1.2' } as const;
    await exchange(t, await connectTls(endpoint, lenient, { timeoutMs }));
  });
});

// Tearing down from within the handshake's callback crashes the process in OpenSSL.
for (const [kind, connect] of Object.entries({ connectTls, connectHttp2, connectGrpc })) {
  t.test(`a server without ALPN is a protocol mismatch and closed: ${kind}`, async (t) => {
    const server = await startTlsServer(t, { ...serverTls, ALPNProtocols: undefined });
    const endpoint = { host: '127.0.0.1', port: server.port };
    for (let round = 0; round < 20; round++) {
      const error = await connect(endpoint, agentTls, { timeoutMs }).catch((error) => error);
      t.equal(error.reason, 'protocol_mismatch');
      t.ok(error.otherTransportMayWork);
    }
    await server.allClosed();
  });
}

t.test("a failed handshake is explained without OpenSSL's own text", async (t) => {
  const ciphers = 'TLS_AES_128_CCM_SHA256';
  const server = await startTlsServer(t, { ...serverTls, ciphers, minVersion: 'TLSv1.3' });
  const endpoint = { host: '127.0.0.1', port: server.port };
  const error = await failure(connectTls(endpoint, agentTls, { timeoutMs }));
  t.match(error.message, /handshake failure/);
  t.match(error.message, /--cipher-suites/);
  t.notMatch(error.message, /error:|routines|\.c:/);
});

t.test('errors of certificates', async (t) => {
  t.test('an expired server certificate: the error has both dates', async (t) => {
    const server = await startTlsServer(t, certificates.expiredServer);
    const endpoint = { host: '127.0.0.1', port: server.port };
    const error = await failure(connectTls(endpoint, agentTls, { timeoutMs }));
    t.equal(error.reason, 'server_certificate');
    t.match(
      error.message,
      /it expired at \d{4}-.*Z, and the clock of this machine says \d{4}-.*Z; check both clocks \(CERT_HAS_EXPIRED\); it shows .*valid until 20/,
    );
  });

  t.test('a server certificate that is not valid yet: the error has both dates', async (t) => {
    const server = await startTlsServer(t, certificates.earlyServer);
    const endpoint = { host: '127.0.0.1', port: server.port };
    const error = await failure(connectTls(endpoint, agentTls, { timeoutMs }));
    t.equal(error.reason, 'server_certificate');
    t.match(
      error.message,
      /it is not valid before \d{4}-.*Z, and the clock of this machine says \d{4}-.*Z; check both clocks \(CERT_NOT_YET_VALID\)/,
    );
  });

  t.test('a server certificate for other names: the error has the names', async (t) => {
    const server = await startTlsServer(t, certificates.otherServer);
    const endpoint = { host: '127.0.0.1', port: server.port };
    const error = await failure(connectTls(endpoint, agentTls, { timeoutMs }));
    t.equal(error.reason, 'server_certificate');
    t.match(
      error.message,
      /refused for "127\.0\.0\.1": it is for other names .*DNS:elsewhere\.test/,
    );
  });

  t.test("a server that only closes: the error mentions the agent's certificate", async (t) => {
    const server = await startTlsServer(t, { ...serverTls, rejectUnauthorized: true });
    const endpoint = { host: '127.0.0.1', port: server.port };
    const foreign = { ...certificates.foreignAgent, ca: certificates.ca };
    const error = await failure(connectTls(endpoint, foreign, { timeoutMs }));
    t.equal(error.reason, 'reset');
    t.match(error.message, /Some servers do so when they refuse the agent's certificate/);
  });

  for (const [kind, { connect }] of Object.entries(kinds)) {
    t.test(`an alert of the server about the agent's certificate: ${kind}`, async (t) => {
      const port = await startOpensslServer(t);
      const foreign = { ...certificates.foreignAgent, ca: certificates.ca };
      const error = await failure(connect({ host: '127.0.0.1', port }, foreign, { timeoutMs }));
      t.equal(error.reason, 'own_certificate');
      t.match(error.message, /refused the agent's certificate \(unknown ca\)/);
      t.notOk(error.otherTransportMayWork);
    });
  }
});

/** Starts OpenSSL's server. Like Go, and unlike Node, it sends an alert if it refuses a certificate. */
async function startOpensslServer(t: Test): Promise<number> {
  const directory = t.testdir({
    'ca.crt': certificates.ca,
    'server.crt': certificates.server.cert,
    'server.key': certificates.server.key,
  });
  const verify = ['-Verify', '1', '-verify_return_error', '-CAfile', 'ca.crt'];
  const identity = ['-cert', 'server.crt', '-key', 'server.key'];
  const child = spawn(
    'openssl',
    [
      's_server',
      '-accept',
      '127.0.0.1:0',
      '-alpn',
      'fairlead/1,http/1.1,h2',
      ...verify,
      ...identity,
    ],
    { cwd: directory, stdio: ['pipe', 'pipe', 'ignore'] },
  );
  t.teardown(async () => {
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  });
  let output = '';
  for await (const chunk of child.stdout) {
    output += chunk;
    const port = /ACCEPT .*:(\d+)\n/.exec(output)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`openssl s_server did not start: ${output}`);
}

t.test('HTTP refusals', async (t) => {
  const starters = {
    websocket: { connect: connectWebSocket, start: startWebSocketServer },
    http2: { connect: connectHttp2, start: startHttp2Server },
  };
  for (const [kind, { connect, start }] of Object.entries(starters)) {
    t.test(`${kind}: the error has the status and the text`, async (t) => {
      const refusal = { status: 503, body: 'the server\nis full' };
      const server = await start(t, { ...serverTls, refusal });
      const endpoint = { host: '127.0.0.1', port: server.port };
      const error = await failure(connect(endpoint, agentTls, { timeoutMs }));
      t.equal(error.reason, 'http_refused');
      t.equal(
        error.message,
        `the server at 127.0.0.1:${server.port} answered with HTTP status 503: the server is full`,
      );
      t.ok(error.otherTransportMayWork);
      await server.allClosed();
    });

    t.test(`${kind}: after a refused certificate, no other transport is tried`, async (t) => {
      const headers = { 'fairlead-error': 'unauthenticated' };
      const refusal = { status: 401, headers, body: 'another CA signed it' };
      const server = await start(t, { ...serverTls, refusal });
      const endpoint = { host: '127.0.0.1', port: server.port };
      const error = await failure(connect(endpoint, agentTls, { timeoutMs }));
      t.equal(error.reason, 'identity_refused');
      t.match(error.message, /another CA signed it/);
      t.notOk(error.otherTransportMayWork);
    });
  }

  t.test('websocket: another subprotocol is a protocol mismatch', async (t) => {
    const server = await startWebSocketServer(t, { ...serverTls, subprotocol: false });
    const endpoint = { host: '127.0.0.1', port: server.port };
    const error = await failure(connectWebSocket(endpoint, agentTls, { timeoutMs }));
    t.equal(error.reason, 'protocol_mismatch');
    t.match(error.message, /subprotocol/);
    await server.allClosed();
  });

  t.test('websocket: a server without ALPN counts as HTTP/1.1', async (t) => {
    const server = await startWebSocketServer(t, { ...serverTls, ALPNProtocols: undefined });
    const endpoint = { host: '127.0.0.1', port: server.port };
    await exchange(t, await connectWebSocket(endpoint, agentTls, { timeoutMs }));
  });

  t.test('websocket: after an answer that is not HTTP, another transport may work', async (t) => {
    const server = tls.createServer(serverTls, (socket) => socket.end('220 mail.test ESMTP\r\n'));
    const { port } = await listenForTest(t, server);
    const endpoint = { host: '127.0.0.1', port };
    const error = await failure(connectWebSocket(endpoint, agentTls, { timeoutMs }));
    t.ok(error.otherTransportMayWork);
  });
});
