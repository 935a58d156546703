import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { TunnelError } from '@fairlead/protocol';
import { connectThrough } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { startServer, type TestServer } from '../support/fleet.ts';
import { testPki } from './fixture.ts';
import { rawAgent } from './raw-agent.ts';
import { openSocket } from './raw-http2.ts';

const pki = await testPki();
const node = await pki.agent({ name: 'node' });

/** Line ends, Unicode separators and terminal escapes. It forges a log line if it is written without escaping. */
const forged = 'x\r\n{"level":"info","msg":"forged"}\n\u2028\u2029\u0085\u001b[2J\u202e';
const secret = 'c29tZWJvZHkncyBwYXNzd29yZA';

/** Connects an agent that accepts every stream and resets it. */
async function join(t: Test, server: TestServer, agentId: string): Promise<void> {
  await rawAgent(t, server, node, { agentId }, (stream) => {
    stream.accept();
    stream.reset(new TunnelError('target_reset', forged));
  });
  await server.log.line('agent connected');
}

function hasNoForgedLine(t: Test, { log }: TestServer): void {
  t.strictSame(
    log.written.filter((line) => !/^\{[ -~\u00a1-\u024f…]*\}\n$/.test(line)),
    [],
    'every line is one line of printable characters',
  );
  t.strictSame(log.of('forged'), []);
  t.notMatch(log.written.join(''), secret, 'no secret and no payload');
}

t.test('headers, payload and agent IDs cannot forge a log line', async (t) => {
  const server = await startServer(t);
  await join(t, server, forged);
  const broken = { 'User-Agent': 'a\n{"level":"info","msg":"forged"}' };
  const refused = await connectThrough({ via: server.uds, target: 'node-1:80', headers: broken });
  refused.socket.destroy();
  t.equal(refused.status, 400, 'a line end in a header');
  const { socket, status } = await connectThrough({
    via: server.uds,
    target: 'node-1:80',
    headers: {
      Host: 'node-1:80',
      'User-Agent': '{"level":"info","msg":"forged"}',
      'X-Forwarded-For': '10.0.0.1\u0085{"level":"info","msg":"forged"}',
      'Proxy-Authorization': `Bearer ${secret}`,
    },
    payload: `${forged}${secret}`,
  });
  socket.on('error', () => {}).resume();
  t.equal(status, 200);
  const line = await server.log.line('stream');
  t.match(line, { caller: 'uds', target: 'node-1:80', agent: forged, end: 'target_reset' });
  t.type(line.bytesFromClient, 'number');
  t.type(line.bytesToClient, 'number');
  t.type(line.durationMs, 'number');
  t.equal(server.log.of('stream').length, 1, 'one line for the stream');
  hasNoForgedLine(t, server);
});

t.test('a target cannot forge a log line', async (t) => {
  const server = await startServer(t);
  await join(t, server, 'node-1');
  for (const target of [`${forged}:80`, 'a\u2028b:80', '{"msg":"forged"}:80', 'a\u001b[2J:80']) {
    const socket = await openSocket(server.uds.path);
    socket.write(`CONNECT ${target} HTTP/1.1\r\n\r\n`);
    const answer = await text(socket);
    t.match(answer, /^HTTP\/1\.1 400 /);
  }
  t.equal(server.log.of('stream').length, 0, 'no stream was opened');
  hasNoForgedLine(t, server);
});

t.test('the common name of a certificate cannot forge a log line', async (t) => {
  // A self-signed certificate, since Fairlead's commands refuse such a name.
  const [cert, key] = [pki.path('forger.crt'), pki.path('forger.key')];
  const commonName = 'x\n{"level":"info","msg":"forged"}\u2028';
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-days', '1', '-utf8', '-subj', `/CN=${commonName}`],
    ...['-addext', 'extendedKeyUsage=clientAuth', '-keyout', key, '-out', cert],
  ]);
  const server = await startServer(t, { serverCaCert: cert });
  await join(t, server, 'node-1');
  const tls = { ca: pki.frontEndCa.certPem, cert: await readFile(cert), key: await readFile(key) };
  const { socket } = await connectThrough({
    via: { ...server.tcp, tls: { ...tls, cert: String(tls.cert), key: String(tls.key) } },
    target: 'node-1:80',
  });
  socket.on('error', () => {}).resume();
  const line = await server.log.line('stream');
  t.match(line, { caller: `mtls:${commonName}`, end: 'target_reset' });
  t.equal(server.log.of('stream').length, 1);
  hasNoForgedLine(t, server);
});
