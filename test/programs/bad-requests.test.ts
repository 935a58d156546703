/** Bytes that are no CONNECT request: a client that is not told why, or a server that suffers from it. */
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
import { authority, echoLine, wayNames, waysIn } from './clients.ts';
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
  'an over-long head': {
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

/** All there is to an HTTP/1.1 refusal. */
function checkRefusal(t: Test, text: string, { status, code }: BadRequest): void {
  const [head = '', body = ''] = text.split('\r\n\r\n');
  t.match(head, new RegExp(`^HTTP/1\\.1 ${status} `));
  t.match(head, new RegExp(`^fairlead-error: ${code}$`, 'im'));
  t.match(head, /^content-type: text\/plain/im);
  t.match(body, /^[^\r\n]+\n$/, 'one line of text');
}

/** The service works as before, and no process has died or lost a tunnel. */
async function checkUnhurt(t: Test, server: RunningServer): Promise<void> {
  const echo = await startEchoTarget();
  for (const way of wayNames) {
    const client = await waysIn[way](t, server);
    const stream = await client.open(authority(echo));
    await echoLine(stream, 'still here\n');
    stream.destroy();
  }
  await echo.close();
  t.equal(linesOf(server.process, 'agent connected').length, 1, 'one tunnel from first to last');
  const lost = linesOf(server.process, 'agent disconnected').filter(
    ({ agent }) => agent === 'node-1',
  );
  t.same(lost, [], 'which is not lost');
}

t.test('HTTP/1.1', async (t) => {
  const { server } = await startService(t);
  const listeners: Record<string, FrontEndAddress> = { mTLS: server.tcp, UDS: server.uds };
  for (const [listener, via] of Object.entries(listeners)) {
    for (const [what, bad] of Object.entries(badRequests)) {
      await t.test(`${what} over ${listener}`, async (t) => {
        const { text, closedBy } = await exchangeRaw(via, Buffer.from(bad.bytes, 'latin1'));
        checkRefusal(t, text, bad);
        t.equal(closedBy, 'end', 'the connection is closed in order');
      });
    }
  }
  await t.test('plain HTTP to the TLS port', async (t) => {
    const { host, port } = server.tcp;
    const { text } = await exchangeRaw({ host, port }, connectHead('target:443'));
    t.notMatch(text, '200');
  });
  await t.test('the server is unhurt', (t) => checkUnhurt(t, server));
});

t.test('HTTP/2', async (t) => {
  const { server } = await startService(t);
  for (const via of [server.tcp, server.uds]) {
    const client = await Http2ConnectClient.open(via);
    t.teardown(() => client.close());
    for (const target of ['target', 'target:0', 'target:65536', 'user@target:443', ':443']) {
      const reply = await client.connect(target).catch((error) => error as Error);
      if (reply instanceof Error) {
        // Newer versions of Node's own HTTP/2 refuse it before a request reaches us.
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
    t.notOk(client.session.closed, 'the connection goes on');
  }
  await t.test('the server is unhurt', (t) => checkUnhurt(t, server));
});

t.test('the agent port', async (t) => {
  // Garbage can look like a frame of a later version that is not complete: the deadline ends it.
  const { server } = await startService(t, { server: { 'handshake-timeout': '1s' } });
  const { agent } = await testPki();
  const garbage = Buffer.alloc(4_096, '\xffno frame at all', 'latin1');
  const asked = {
    'fairlead/1': garbage,
    'http/1.1': Buffer.from('GET / HTTP/1.1\r\nHost: server\r\n\r\n'),
    h2: garbage,
  };
  for (const [protocol, bytes] of Object.entries(asked)) {
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
    t.notMatch(text, 'HTTP/1.1 1', 'nothing was upgraded');
  });
  await t.test('the server is unhurt', (t) => checkUnhurt(t, server));
});
