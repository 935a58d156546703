/** Agents that connect to their server through an HTTP proxy. */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createSecureServer as createHttp2Server } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { authority, echoLine, http1Client } from './clients.ts';
import {
  connectAgent,
  type Flags,
  loopback,
  type RunningServer,
  startAgent,
  startServer,
  testPki,
  transports,
} from './fixture.ts';

const server = await startServer(t);

interface Proxy {
  readonly url: string;
  /** The requests: method, authority, and credentials if any. */
  readonly requests: string[];
}

function join(client: Duplex, target: string, onConnected: () => void): void {
  const { hostname, port } = new URL(`http://${target}`);
  const upstream = connect({ host: hostname, port: Number(port) }, () => {
    onConnected();
    client.pipe(upstream).pipe(client);
  });
  upstream.on('error', () => client.destroy());
  client.on('error', () => upstream.destroy());
  client.once('close', () => upstream.destroy());
}

async function listen(t: Test, scheme: string, server: Server, requests: string[]): Promise<Proxy> {
  const connections = new Set<Duplex>();
  server.on('connection', (socket) => connections.add(socket));
  server.listen(0, loopback);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of connections) socket.destroy();
  });
  return { url: `${scheme}://${loopback}:${(server.address() as AddressInfo).port}`, requests };
}

type StartProxy = (t: Test) => Promise<Proxy>;

const proxies: Record<string, StartProxy> = {
  async 'HTTP/1.1'(t) {
    const requests: string[] = [];
    const server = createHttpServer();
    serveHttp1(server, requests);
    return listen(t, 'http', server, requests);
  },
  async 'HTTP/1.1 over TLS'(t) {
    const requests: string[] = [];
    const { cert, key } = (await testPki()).frontend.server;
    const server = createHttpsServer({ cert, key });
    serveHttp1(server, requests);
    return listen(t, 'https', server, requests);
  },
  async 'HTTP/2'(t) {
    const requests: string[] = [];
    const { cert, key } = (await testPki()).frontend.server;
    const server = createHttp2Server({ cert, key });
    server.on('stream', (stream, headers) => {
      const { ':method': method, ':authority': target = '' } = headers;
      requests.push(`${method} ${target} ${headers['proxy-authorization'] ?? ''}`.trim());
      join(stream, target, () => stream.respond({ ':status': 200 }));
    });
    return listen(t, 'https', server, requests);
  },
};

function serveHttp1(server: ReturnType<typeof createHttpServer>, requests: string[]): void {
  server.on('connect', ({ method, url = '', headers }, socket) => {
    requests.push(`${method} ${url} ${headers['proxy-authorization'] ?? ''}`.trim());
    join(socket, url, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
  });
}

/** Connects an agent and echoes a line through it. The agent ends with the test. */
async function connectAndEcho(
  t: Test,
  server: RunningServer,
  flags: Flags,
  env: Record<string, string>,
): Promise<void> {
  // The proxy's CA belongs to the machine's trust store; the tunnel's CA has its own flag.
  const { frontend } = await testPki();
  const all = { NODE_EXTRA_CA_CERTS: frontend.caFile, ...env };
  await connectAgent(t, server, flags, all);
  const echo = await startEchoTarget();
  const stream = await http1Client(t, server.uds).open(authority(echo));
  await echoLine(stream, 'through the proxy\n');
  stream.destroy();
  await echo.close();
}

for (const [name, startProxy] of Object.entries(proxies)) {
  t.test(`connects through an ${name} proxy`, async (t) => {
    const proxy = await startProxy(t);
    const expected = `CONNECT ${loopback}:${server.agentPort}`;

    for (const transport of transports) {
      await t.test(`--egress-proxy, ${transport}`, async (t) => {
        proxy.requests.length = 0;
        await connectAndEcho(t, server, { transport, 'egress-proxy': proxy.url }, {});
        t.same(proxy.requests, [expected]);
      });
    }
    await t.test('HTTPS_PROXY with a user and a password', async (t) => {
      proxy.requests.length = 0;
      const HTTPS_PROXY = proxy.url.replace('://', '://user:secret@');
      await connectAndEcho(t, server, {}, { HTTPS_PROXY });
      t.same(proxy.requests, [`${expected} Basic ${btoa('user:secret')}`]);
    });
    await t.test('NO_PROXY excludes the server', async (t) => {
      proxy.requests.length = 0;
      const env = { HTTPS_PROXY: proxy.url, NO_PROXY: 'localhost,127.0.0.0/8' };
      await connectAndEcho(t, server, {}, env);
      t.same(proxy.requests, [], 'the agent connects directly');
    });
  });
}

t.test('logs the answer of a proxy that refuses, without the password', async (t) => {
  const refusing = createHttpServer();
  refusing.on('connect', (_, socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'));
  const proxy = await listen(t, 'http', refusing, []);
  const url = proxy.url.replace('://', '://user:secret@');
  const { process } = await startAgent(t, server.agentPort, { 'egress-proxy': url });
  const line = await process.waitForLog('cannot connect');
  t.equal(line.reason, 'proxy_failed');
  t.match(line.detail, new RegExp(`${proxy.url}.*403`), 'one line names the proxy and its answer');
  t.notMatch(process.describe(), 'secret', 'the password is not logged');
});
