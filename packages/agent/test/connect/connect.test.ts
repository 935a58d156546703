import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import net from 'node:net';
import tls from 'node:tls';
import { connectHttp2 } from '@fairlead/agent/internal';
import { HTTP2_WINDOW_BYTES } from '@fairlead/protocol';
import { reserveRefusedPort } from '@fairlead/testkit';
import { controlTime } from '@fairlead/testkit/controlled-time';
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
import { listenForTest, startHttp2Server, startTlsServer } from './tunnel-servers.ts';

for (const [kind, { connect, start }] of Object.entries(kinds)) {
  t.test(`over ${kind}`, async (t) => {
    t.test('carries bytes in both directions and leaves no connection open', async (t) => {
      const server = await start(t, serverTls);
      const endpoint = { host: '127.0.0.1', port: server.port };
      const transport = await connect(endpoint, agentTls, { timeoutMs });
      t.equal(transport.kind, kind);
      t.equal(server.secured[0]?.getProtocol(), 'TLSv1.3');
      t.equal(server.secured[0]?.getPeerCertificate().subject.CN, 'agent');
      await exchange(t, transport);
      await server.allClosed();
    });

    t.test('connects to an IPv6 address without SNI', async (t) => {
      const server = await start(t, { ...serverTls, host: '::1' });
      const transport = await connect({ host: '::1', port: server.port }, agentTls, { timeoutMs });
      t.notOk((server.secured[0] as { servername?: string | false }).servername);
      await exchange(t, transport);
    });

    t.test('verifies the configured server name and sends it in SNI', async (t) => {
      const server = await start(t, { ...certificates.otherServer, ca: certificates.ca });
      const endpoint = { host: '127.0.0.1', port: server.port };
      const other = { ...agentTls, serverName: 'elsewhere.test' };
      const transport = await connect(endpoint, other, { timeoutMs });
      t.match(server.secured[0], { servername: 'elsewhere.test' });
      await exchange(t, transport);
    });

    t.test('resumes TLS sessions with the same credentials only', async (t) => {
      const server = await start(t, serverTls);
      const endpoint = { host: '127.0.0.1', port: server.port };
      const other = { ...agentTls };
      for (const credentials of [other, other, { ...other }]) {
        const transport = await connect(endpoint, credentials, { timeoutMs });
        await exchange(t, transport);
      }
      t.same(server.resumed, [false, true, false]);
    });

    t.test('a closed port is reported as refused', async (t) => {
      const target = await reserveRefusedPort();
      t.teardown(() => target.close());
      const error = await failure(connect(target, agentTls, { timeoutMs }));
      t.equal(error.reason, 'refused');
      t.match(error.message, `127.0.0.1:${target.port}: connect: connection refused`);
      t.notOk(error.otherTransportMayWork);
    });

    t.test('refuses a certificate of another CA, and the error describes it', async (t) => {
      const server = await start(t, serverTls);
      const endpoint = { host: '127.0.0.1', port: server.port };
      const other = { ...agentTls, ca: certificates.foreignCa };
      const error = await failure(connect(endpoint, other, { timeoutMs }));
      t.equal(error.reason, 'server_certificate');
      t.match(error.message, /for "127\.0\.0\.1": a CA that is not trusted signed it/);
      t.match(error.message, /subject CN=test server, names .*localhost.*, issuer CN=test CA/);
      t.notOk(error.otherTransportMayWork);
      await server.allClosed();
    });

    t.test('a server that selects no offered protocol is a protocol mismatch', async (t) => {
      const server = await startTlsServer(t, { ...serverTls, ALPNProtocols: ['other/1'] });
      const endpoint = { host: '127.0.0.1', port: server.port };
      const error = await failure(connect(endpoint, agentTls, { timeoutMs }));
      t.equal(error.reason, 'protocol_mismatch');
      t.ok(error.otherTransportMayWork);
      await server.allClosed();
    });

    t.test('a server that does not answer: the timeout names the TLS handshake', async (t) => {
      const time = controlTime(t);
      const silent = await startSilentServer(t);
      const accepted = once(silent.server, 'connection');
      const attempt = failure(connect(silent, agentTls, { timeoutMs: 50 }));
      await accepted;
      await time.advance(50);
      const error = await attempt;
      t.equal(error.reason, 'handshake_timeout');
      t.match(
        error.message,
        `no answer within 50 ms while waiting for the TLS handshake with 127.0.0.1:${silent.port}`,
      );
      t.ok(error.otherTransportMayWork);
      await silent.allClosed();
    });

    t.test(
      'a server that stops answering after TLS: the timeout names the next step',
      async (t) => {
        const ALPNProtocols = ['fairlead/1', 'http/1.1', 'h2'];
        const server = tls.createServer({ ...serverTls, ALPNProtocols }, (socket) =>
          socket.resume(),
        );
        const { port, allClosed } = await listenForTest(t, server);
        const time = controlTime(t);
        const secured = once(server, 'secureConnection');
        const attempt = failure(connect({ host: '127.0.0.1', port }, agentTls, { timeoutMs }));
        await secured;
        // At this point the agent has completed its side of the handshake.
        await time.advance(timeoutMs);
        const error = await attempt;
        t.equal(error.reason, 'handshake_timeout');
        t.match(
          error.message,
          /waiting for the (first frame|WebSocket|HTTP\/2 answer) of 127\.0\.0\.1/,
        );
        await allClosed();
      },
    );

    t.test('an abort closes the connection attempt', async (t) => {
      const silent = await startSilentServer(t);
      const abort = new AbortController();
      const accepted = once(silent.server, 'connection');
      const attempt = failure(connect(silent, agentTls, { timeoutMs, signal: abort.signal }));
      await accepted;
      abort.abort();
      t.equal((await attempt).reason, 'cancelled');
      await silent.allClosed();
    });

    t.test('an abort before the start does not open a connection', async (t) => {
      const silent = await startSilentServer(t);
      silent.server.on('connection', () => t.fail('it connected'));
      const signal = AbortSignal.abort();
      const error = await failure(connect(silent, agentTls, { timeoutMs, signal }));
      t.equal(error.reason, 'cancelled');
    });
  });
}

/** Starts a server that accepts TCP connections and reads, but does not answer. */
async function startSilentServer(t: Test) {
  const server = net.createServer((socket) => socket.resume());
  return { ...(await listenForTest(t, server)), server, host: '127.0.0.1' };
}

t.test('http2: the request has the headers of a tunnel and large windows', async (t) => {
  let seen: { headers: IncomingHttpHeaders; windows: object } | undefined;
  const server = await startHttp2Server(t, {
    ...serverTls,
    onTunnel: (stream, headers) => {
      const { remoteSettings, state } = stream.session!;
      const { initialWindowSize } = remoteSettings;
      seen = { headers, windows: { initialWindowSize, session: state.remoteWindowSize } };
    },
  });
  const endpoint = { host: '127.0.0.1', port: server.port };
  const transport = await connectHttp2(endpoint, agentTls, { timeoutMs });
  await exchange(t, transport);
  t.match(seen?.headers, {
    ':method': 'POST',
    ':path': '/fairlead/v1/tunnel',
    'content-type': 'application/fairlead',
  });
  t.same(seen?.windows, { initialWindowSize: HTTP2_WINDOW_BYTES, session: HTTP2_WINDOW_BYTES });
});
