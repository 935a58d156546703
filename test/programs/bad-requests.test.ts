/** Bytes that are not a CONNECT request: the peer gets a reason, and the server keeps working. */
import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import {
  connectHead,
  exchangeRaw,
  type FrontEndAddress,
  Http2ConnectClient,
  readText,
  startEchoTarget,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { authority, clientKinds, echoLine, openClient } from './clients.ts';
import { linesOf, loopback, type RunningServer, startService, testPki } from './fixture.ts';

interface BadRequest {
  readonly bytes: string;
  readonly status: number;
  readonly code: string;
}

const badRequests: Readonly<Record<string, BadRequest>> = {
  garbage: { bytes: '\x00\xffgarbage\r\n\r\n', status: 400, code: 'bad_request' },
  'a TLS ClientHello': {
    bytes: '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00',
    status: 400,
    code: 'bad_request',
  },
  'a head that is too long': {
    bytes: connectHead('target:443', { 'X-Long': 'x'.repeat(64 * 1024) }),
    status: 431,
    code: 'head_too_large',
  },
  GET: {
    bytes: 'GET / HTTP/1.1\r\nHost: server\r\n\r\n',
    status: 405,
    code: 'method_not_allowed',
  },
  'CONNECT without a port': { bytes: connectHead('target'), status: 400, code: 'bad_target' },
  'port 0': { bytes: connectHead('target:0'), status: 400, code: 'bad_target' },
  'port 65536': { bytes: connectHead('target:65536'), status: 400, code: 'bad_target' },
  'a user in the target': {
    bytes: connectHead('user@target:443'),
    status: 400,
    code: 'bad_target',
  },
  'HTTP/1.0': { bytes: 'CONNECT target:443 HTTP/1.0\r\n\r\n', status: 400, code: 'bad_request' },
};

/** Checks status, code, content type and the one line of an HTTP/1.1 refusal. */
function checkRefusal(t: Test, text: string, { status, code }: BadRequest): void {
  const [head = '', body = ''] = text.split('\r\n\r\n');
  t.match(head, new RegExp(`^HTTP/1\\.1 ${status} `));
  t.match(head, new RegExp(`^fairlead-error: ${code}$`, 'im'));
  t.match(head, /^content-type: text\/plain/im);
  t.match(body, /^[^\r\n]+\n$/, 'one line of text');
}

/** Checks that all clients are still served, and that the tunnel was never lost. */
async function checkStillServing(t: Test, server: RunningServer): Promise<void> {
  const echo = await startEchoTarget();
  for (const kind of clientKinds) {
    const client = await openClient[kind](t, server);
    const stream = await client.open(authority(echo));
    await echoLine(stream, 'still here\n');
    stream.destroy();
  }
  await echo.close();
  t.equal(linesOf(server.process, 'agent connected').length, 1, 'the agent connected once');
  const lost = linesOf(server.process, 'agent disconnected').filter(
    ({ agent }) => agent === 'node-1',
  );
  t.same(lost, [], 'its tunnel is not lost');
}

t.test('refuses bad HTTP/1.1 requests with a status and a code', async (t) => {
  const { server } = await startService(t);
  const listeners: Record<string, FrontEndAddress> = { mTLS: server.tcp, UDS: server.uds };
  for (const [listener, via] of Object.entries(listeners)) {
    for (const [what, bad] of Object.entries(badRequests)) {
      await t.test(`${what} over ${listener}`, async (t) => {
        const { text, closedBy } = await exchangeRaw(via, Buffer.from(bad.bytes, 'latin1'));
        checkRefusal(t, text, bad);
        t.equal(closedBy, 'end', 'the connection ends without a reset');
      });
    }
  }
  await t.test('plain HTTP to the TLS port', async (t) => {
    const { host, port } = server.tcp;
    const { text } = await exchangeRaw({ host, port }, connectHead('target:443'));
    t.notMatch(text, '200');
  });
  await t.test('the server still serves', (t) => checkStillServing(t, server));
});

t.test('refuses bad HTTP/2 requests with a status and a code', async (t) => {
  const { server } = await startService(t);
  for (const via of [server.tcp, server.uds]) {
    const client = await Http2ConnectClient.open(via);
    t.teardown(() => client.close());
    for (const target of ['target', 'target:0', 'target:65536', 'user@target:443', ':443']) {
      const reply = await client.connect(target).catch((error) => error as Error);
      if (reply instanceof Error) {
        // Newer versions of Node's HTTP/2 refuse it before a request reaches the server.
        t.equal(target, 'user@target:443');
        t.match(reply, { code: 'ERR_HTTP2_STREAM_ERROR', message: /PROTOCOL_ERROR/ });
        continue;
      }
      const { status, headers, body } = reply;
      t.equal(status, 400, target);
      t.equal(headers['fairlead-error'], 'bad_target');
      t.match(body, /^[^\r\n]+\n$/);
    }
    const get = client.session.request({ ':path': '/' });
    const [headers] = await once(get, 'response');
    t.equal(headers[':status'], 405);
    t.equal(headers['fairlead-error'], 'method_not_allowed');
    t.match(await readText(get), /^[^\r\n]+\n$/);
    t.notOk(client.session.closed, 'the connection stays open');
  }
  await t.test('the server still serves', (t) => checkStillServing(t, server));
});

t.test('closes connections to the agent port that send garbage', async (t) => {
  // Garbage can look like an incomplete frame of a later protocol version; then the deadline ends the connection.
  const { server } = await startService(t, { server: { 'handshake-timeout': '1s' } });
  const { agent } = await testPki();
  const garbage = Buffer.alloc(4_096, '\xffno frame at all', 'latin1');
  const requests = {
    'fairlead/1': garbage,
    'http/1.1': Buffer.from('GET / HTTP/1.1\r\nHost: server\r\n\r\n'),
    h2: garbage,
  };
  for (const [protocol, bytes] of Object.entries(requests)) {
    await t.test(`garbage in ${protocol}`, async (t) => {
      const socket = connectTls({
        ...{ host: loopback, port: server.agentPort, ALPNProtocols: [protocol] },
        ...{ ca: agent.ca, cert: agent.client.cert, key: agent.client.key },
      });
      await once(socket, 'secureConnect');
      t.equal(socket.alpnProtocol, protocol);
      socket.on('error', () => {});
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
      });
      socket.write(bytes);
      await once(socket, 'close');
      if (protocol === 'http/1.1')
        checkRefusal(t, text, { bytes: '', status: 400, code: 'bad_request' });
    });
  }
  await t.test('plain bytes', async (t) => {
    const { text } = await exchangeRaw({ host: loopback, port: server.agentPort }, garbage);
    t.notMatch(text, 'HTTP/1.1 1', 'no protocol was switched');
  });
  await t.test('the server still serves', (t) => checkStillServing(t, server));
});
