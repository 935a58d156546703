import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { createConnection } from 'node:net';
import { PROXY_METHOD } from '@fairlead/konnectivity';
import { decodePacket, encodePacket, MESSAGE_HEADER_BYTES } from '@fairlead/konnectivity/internal';
import { exchangeRaw } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { startServer, type TestServer } from '../support/fleet.ts';
import { testPki } from './fixture.ts';
import { rawAgent } from './raw-agent.ts';

const pki = await testPki();

/** Other spellings of a denied name or address, and invalid targets. */
const spellings = [
  ...['secret.example:80', 'SECRET.Example:80', 'secret.example.:80', 'SECRET.EXAMPLE.:80'],
  ...[
    'secret.example..:80',
    'secret\u3002example:80',
    '\u017fecret.example:80',
    'secret.example:080',
  ],
  ...['secret.example:0', 'secret.example:65536', 'secret.example:65616', 'secret.example:+80'],
  ...['a@secret.example:80', 'secret.example%2e:80', 'http://secret.example:80', 'secret.example'],
  ...['secret.example:80:81', 'xn--:80', '-secret.example:80', 'secret.example:80#', '*:80'],
  ...['10.9.0.1:443', '[::ffff:10.9.0.1]:443', '[::ffff:a09:1]:443', '[::FFFF:0A09:0001]:443'],
  ...['[0:0:0:0:0:ffff:10.9.0.1]:443', '[64:ff9b::a09:1]:443', '[2002:a09:1::]:443'],
  ...[
    '[::ffff:10.9.0.1%1]:443',
    '[fe80::1%eth0]:80',
    '10.9.1:443',
    '168361985:443',
    '0xa090001:443',
  ],
  ...['012.9.0.1:443', '10.9.0.1.:443', '10.9.0.1:0443', '[10.9.0.1]:443', '::ffff:10.9.0.1:443'],
];

async function start(t: Test) {
  const rules = { callers: ['uds'], allow: ['*'], deny: ['secret.example', '10.9.0.0/16:443'] };
  const frontendPolicy = await pki.file('spelling.json', JSON.stringify({ rules: [rules] }));
  const server = await startServer(t, { frontendPolicy });
  const node = await pki.agent({ name: 'node' });
  const agent = await rawAgent(t, server, node, {}, (stream) => stream.accept());
  await server.log.line('agent connected');
  const offered = () => agent.offered.map(({ target }) => `${target.host}:${target.port}`);
  return { server, offered };
}

function http2(t: Test, server: TestServer) {
  const session = connectHttp2('http://localhost', {
    createConnection: () => createConnection(server.uds.path),
  });
  t.teardown(() => session.destroy());
  return session;
}

t.test('HTTP/1.1: every spelling of a denied target is refused', async (t) => {
  const { server, offered } = await start(t);
  for (const spelling of spellings) {
    const heads = [
      `CONNECT ${spelling} HTTP/1.1\r\nHost: allowed.example:80\r\nHost: b\r\n\r\n`,
      `CONNECT ${spelling} HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: 9\r\n\r\nCONNECT a`,
      `CONNECT ${spelling} HTTP/1.1\r\nX: CONNECT allowed.example:80 HTTP/1.1\r\n\r\n`,
    ];
    for (const head of heads) {
      const { text } = await exchangeRaw(server.uds, head);
      t.match(text, /^HTTP\/1\.1 4\d\d /, spelling);
    }
  }
  // A request behind a refused request is not parsed.
  const inner = 'CONNECT allowed.example:80 HTTP/1.1\r\n\r\n';
  for (const outer of [
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    'CONNECT secret.example:80 HTTP/1.1\r\n\r\n',
  ]) {
    await exchangeRaw(server.uds, outer + inner);
  }
  t.same(offered(), []);
});

t.test('HTTP/2: every spelling of a denied target is refused', async (t) => {
  const { server, offered } = await start(t);
  const session = http2(t, server);
  for (const spelling of spellings) {
    const request = session.request({
      ':method': 'CONNECT',
      ':authority': spelling,
      host: 'allowed.example:80',
    });
    // The status, or 0 if HTTP/2 itself refuses the request.
    const outcome = await new Promise<number>((resolve) => {
      request.once('response', (headers) => resolve(headers[':status'] ?? 0));
      request.once('error', () => resolve(0)).once('close', () => resolve(0));
    });
    t.ok(outcome === 0 || (outcome >= 400 && outcome < 500), `${spelling}: ${outcome}`);
    request.on('error', () => {}).close();
  }
  t.same(offered(), []);
});

t.test('gRPC: every spelling of a denied target is refused', async (t) => {
  const { server, offered } = await start(t);
  const session = http2(t, server);
  for (const address of [...spellings, 'unix:/run/secret', '', '\u0000secret.example:80']) {
    const call = session.request(
      { ':method': 'POST', ':path': PROXY_METHOD, 'content-type': 'application/grpc' },
      { endStream: false },
    );
    call.write(encodePacket({ type: 'DIAL_REQ', protocol: 'tcp', address, random: 1n }));
    const [answer] = (await once(call, 'data')) as [Buffer];
    const packet = decodePacket(
      answer.subarray(MESSAGE_HEADER_BYTES, MESSAGE_HEADER_BYTES + answer.readUInt32BE(1)),
    );
    t.match(packet, { type: 'DIAL_RSP', connectId: 0n, error: /./ }, JSON.stringify(address));
    call.on('error', () => {}).close();
  }
  t.same(offered(), []);
});

t.test('allowed targets are dialed', async (t) => {
  const { server, offered } = await start(t);
  for (const target of [
    'allowed.example:80',
    'SECRET2.example:80',
    '10.9.0.1:80',
    '[fd00::1]:443',
  ]) {
    const socket = createConnection(server.uds.path);
    socket.write(`CONNECT ${target} HTTP/1.1\r\n\r\n`);
    t.match(String(await once(socket, 'data')), /^HTTP\/1\.1 200 /);
    socket.destroy();
  }
  t.same(offered(), ['allowed.example:80', 'SECRET2.example:80', '10.9.0.1:80', 'fd00::1:443']);
});
