/** An agent that cannot leave its network but through an HTTP proxy, and stays there or goes around it. */
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
  type Flags,
  joinAgent,
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
  /** What the proxy was asked for: authority, and credentials if any. */
  readonly asked: string[];
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

async function listen(t: Test, scheme: string, server: Server, asked: string[]): Promise<Proxy> {
  const connections = new Set<Duplex>();
  server.on('connection', (socket) => connections.add(socket));
  server.listen(0, loopback);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of connections) socket.destroy();
  });
  return { url: `${scheme}://${loopback}:${(server.address() as AddressInfo).port}`, asked };
}

type StartProxy = (t: Test) => Promise<Proxy>;

const proxies: Record<string, StartProxy> = {
  async 'HTTP/1.1'(t) {
    const asked: string[] = [];
    const server = createHttpServer();
    serveHttp1(server, asked);
    return listen(t, 'http', server, asked);
  },
  async 'HTTP/1.1 over TLS'(t) {
    const asked: string[] = [];
    const { cert, key } = (await testPki()).frontend.server;
    const server = createHttpsServer({ cert, key });
    serveHttp1(server, asked);
    return listen(t, 'https', server, asked);
  },
  async 'HTTP/2'(t) {
    const asked: string[] = [];
    const { cert, key } = (await testPki()).frontend.server;
    const server = createHttp2Server({ cert, key });
    server.on('stream', (stream, headers) => {
      const { ':method': method, ':authority': target = '' } = headers;
      asked.push(`${method} ${target} ${headers['proxy-authorization'] ?? ''}`.trim());
      join(stream, target, () => stream.respond({ ':status': 200 }));
    });
    return listen(t, 'https', server, asked);
  },
};

function serveHttp1(server: ReturnType<typeof createHttpServer>, asked: string[]): void {
  server.on('connect', ({ method, url = '', headers }, socket) => {
    asked.push(`${method} ${url} ${headers['proxy-authorization'] ?? ''}`.trim());
    join(socket, url, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
  });
}

/** Joins the server, carries a line, and leaves when the test ends. */
async function joinAndCarry(
  t: Test,
  server: RunningServer,
  flags: Flags,
  env: Record<string, string>,
): Promise<void> {
  // Trust in the proxy is a matter of the machine, not of the tunnel.
  const { frontend } = await testPki();
  const all = { NODE_EXTRA_CA_CERTS: frontend.caFile, ...env };
  await joinAgent(t, server, flags, all);
  const echo = await startEchoTarget();
  const stream = await http1Client(t, server.uds).open(authority(echo));
  await echoLine(stream, 'through the proxy\n');
  stream.destroy();
  await echo.close();
}

for (const [name, startProxy] of Object.entries(proxies)) {
  t.test(`an ${name} proxy`, async (t) => {
    const proxy = await startProxy(t);
    const wanted = `CONNECT ${loopback}:${server.agentPort}`;

    for (const transport of transports) {
      await t.test(`--egress-proxy, ${transport}`, async (t) => {
        proxy.asked.length = 0;
        await joinAndCarry(t, server, { transport, 'egress-proxy': proxy.url }, {});
        t.same(proxy.asked, [wanted]);
      });
    }
    await t.test('HTTPS_PROXY, with a user and a password', async (t) => {
      proxy.asked.length = 0;
      const HTTPS_PROXY = proxy.url.replace('://', '://user:secret@');
      await joinAndCarry(t, server, {}, { HTTPS_PROXY });
      t.same(proxy.asked, [`${wanted} Basic ${btoa('user:secret')}`]);
    });
    await t.test('NO_PROXY', async (t) => {
      proxy.asked.length = 0;
      const env = { HTTPS_PROXY: proxy.url, NO_PROXY: 'localhost,127.0.0.0/8' };
      await joinAndCarry(t, server, {}, env);
      t.same(proxy.asked, [], 'goes around the proxy');
    });
  });
}

t.test('a proxy that refuses', async (t) => {
  const refusing = createHttpServer();
  refusing.on('connect', (_, socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'));
  const proxy = await listen(t, 'http', refusing, []);
  const url = proxy.url.replace('://', '://user:secret@');
  const { process } = await startAgent(t, server.agentPort, { 'egress-proxy': url });
  const line = await process.waitForLog('cannot connect');
  t.equal(line.reason, 'proxy_failed');
  t.match(
    line.detail,
    new RegExp(`${proxy.url}.*403`),
    'one line says which proxy, and what it said',
  );
  t.notMatch(process.describe(), 'secret', 'and never the password');
});
