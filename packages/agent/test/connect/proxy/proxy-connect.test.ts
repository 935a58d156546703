import net from 'node:net';
import { connectTls, EgressProxies } from '@fairlead/agent/internal';
import { eventually, reserveRefusedPort } from '@fairlead/testkit';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';
import {
  agentTls,
  certificates,
  exchange,
  failure,
  kinds,
  proxyAt,
  serverTls,
  timeoutMs,
} from '../connect-fixtures.ts';
import { listenForTest } from '../tunnel-servers.ts';
import { startHttp1Proxy, startHttp2Proxy, type TestProxy } from './proxies.ts';

for (const [kind, { connect, start }] of Object.entries(kinds)) {
  t.test(`${kind} through proxies`, async (t) => {
    const proxies: Record<string, (t: Test) => Promise<[TestProxy, string]>> = {
      'http, HTTP/1.1': async (t) => [await startHttp1Proxy(t), 'http'],
      'https, HTTP/1.1': async (t) => [await startHttp1Proxy(t, certificates.server), 'https'],
      'https, HTTP/2': async (t) => [await startHttp2Proxy(t, certificates.server), 'https'],
    };
    for (const [name, startProxy] of Object.entries(proxies)) {
      t.test(`through a proxy with ${name}`, async (t) => {
        const server = await start(t, serverTls);
        const [proxy, scheme] = await startProxy(t);
        const url = `${scheme}://us%40er:pass%3Aword@127.0.0.1:${proxy.port}`;
        const transport = await connect({ host: '127.0.0.1', port: server.port }, agentTls, {
          timeoutMs,
          proxy: proxyAt(url),
        });
        const credentials = Buffer.from('us@er:pass:word').toString('base64');
        t.same(proxy.requests, [`127.0.0.1:${server.port} Basic ${credentials}`]);
        await exchange(t, transport);
        await server.allClosed();
        await proxy.allClosed();
      });
    }

    const interim = ['100 Continue', '103 Early Hints\r\nLink: </a>; rel=preload'];
    const hesitant: Record<string, (t: Test) => Promise<[TestProxy, string]>> = {
      'HTTP/1.1': async (t) => [await startHttp1Proxy(t, undefined, { interim }), 'http'],
      'HTTP/2': async (t) => [
        await startHttp2Proxy(t, certificates.server, { interim: ['100', '103'] }),
        'https',
      ],
    };
    for (const [name, startProxy] of Object.entries(hesitant)) {
      t.test(`${name}: interim answers before the 200 are skipped`, async (t) => {
        const server = await start(t, serverTls);
        const [proxy, scheme] = await startProxy(t);
        const transport = await connect({ host: '127.0.0.1', port: server.port }, agentTls, {
          timeoutMs,
          proxy: proxyAt(`${scheme}://127.0.0.1:${proxy.port}`),
        });
        await exchange(t, transport);
      });
    }

    t.test('fields about a body in a 200 have no meaning', async (t) => {
      const server = await start(t, serverTls);
      const fields = 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n';
      const proxy = await startHttp1Proxy(t, undefined, { fields });
      const transport = await connect({ host: '127.0.0.1', port: server.port }, agentTls, {
        timeoutMs,
        proxy: proxyAt(`http://127.0.0.1:${proxy.port}`),
      });
      await exchange(t, transport);
    });

    t.test('to a server with an IPv6 address', async (t) => {
      const server = await start(t, { ...serverTls, host: '::1' });
      const proxy = await startHttp2Proxy(t, certificates.server);
      const transport = await connect({ host: '::1', port: server.port }, agentTls, {
        timeoutMs,
        proxy: proxyAt(`https://127.0.0.1:${proxy.port}`),
      });
      t.same(proxy.requests, [`[::1]:${server.port} -`]);
      await exchange(t, transport);
    });
  });
}

t.test('errors of a proxy', async (t) => {
  const server = { host: 'server.test', port: 443 };
  const secret = 'hunter2';

  for (const [name, start] of Object.entries({
    'HTTP/1.1': (t: Test, refuseWith: number, challenges: readonly string[] = []) =>
      startHttp1Proxy(t, certificates.server, { refuseWith, challenges }),
    'HTTP/2': (t: Test, refuseWith: number, challenges: readonly string[] = []) =>
      startHttp2Proxy(t, certificates.server, { refuseWith, challenges }),
  })) {
    t.test(`${name}: the error of a refusal has the status and no password`, async (t) => {
      const proxy = await start(t, 407);
      const url = `https://user:${secret}@127.0.0.1:${proxy.port}`;
      const error = await failure(connectTls(server, agentTls, { timeoutMs, proxy: proxyAt(url) }));
      t.equal(error.reason, 'proxy_failed');
      t.match(
        error.message,
        `egress proxy https://127.0.0.1:${proxy.port}: CONNECT server.test:443 was answered with 407`,
      );
      t.notMatch(error.message, secret);
      t.notOk(error.otherTransportMayWork);
      await proxy.allClosed();
    });

    const cures: [readonly string[], string, string][] = [
      [[], '', '. Put a user and a password into its URL'],
      [[], 'u:p@', '. Correct the user and the password in its URL'],
      [
        ['Negotiate', 'Basic realm="a, NTLM b", charset="UTF-8"'],
        '',
        '. The proxy offers Negotiate, Basic. Put a user and a password into its URL',
      ],
      [
        ['NTLM', 'Negotiate YII=='],
        'u:p@',
        '. The proxy offers NTLM, Negotiate, but agents only support Basic. Enable Basic on the proxy, or exempt the agent',
      ],
    ];
    for (const [challenges, credentials, cure] of cures) {
      t.test(`${name}: 407 with [${challenges}] names the schemes and the cure`, async (t) => {
        const proxy = await start(t, 407, challenges);
        const url = `https://${credentials}127.0.0.1:${proxy.port}`;
        const connecting = connectTls(server, agentTls, { timeoutMs, proxy: proxyAt(url) });
        const { message } = await failure(connecting);
        t.equal(message.slice(message.indexOf('. ')), cure);
      });
    }
  }

  t.test('a proxy that does not listen is proxy_failed', async (t) => {
    const target = await reserveRefusedPort();
    t.teardown(() => target.close());
    const proxy = proxyAt(`http://127.0.0.1:${target.port}`);
    const error = await failure(connectTls(server, agentTls, { timeoutMs, proxy }));
    t.equal(error.reason, 'proxy_failed');
    t.match(error.message, /egress proxy http:.*connection refused/);
  });

  t.test('a proxy with an untrusted certificate is proxy_failed', async (t) => {
    const secured = await startHttp2Proxy(t, certificates.server);
    const proxies = new EgressProxies({ url: `https://127.0.0.1:${secured.port}`, env: {} });
    const proxy = proxies.for(server);
    const error = await failure(connectTls(server, agentTls, { timeoutMs, proxy }));
    t.equal(error.reason, 'proxy_failed');
    t.match(error.message, /a CA that is not trusted signed it/);
    t.same(secured.requests, []);
  });

  for (const [name, start] of Object.entries({
    'HTTP/1.1': (t: Test) => startHttp1Proxy(t, undefined, { silent: true }),
    'HTTP/2': (t: Test) => startHttp2Proxy(t, certificates.server, { silent: true }),
  })) {
    t.test(`${name}: a proxy that does not answer is proxy_failed`, async (t) => {
      const proxy = await start(t);
      const url = `${name === 'HTTP/2' ? 'https' : 'http'}://127.0.0.1:${proxy.port}`;
      const time = controlTime(t);
      const attempt = failure(connectTls(server, agentTls, { timeoutMs, proxy: proxyAt(url) }));
      await eventually('the proxy received the request', () => proxy.requests.length === 1);
      await time.advance(timeoutMs);
      const error = await attempt;
      t.equal(error.reason, 'proxy_failed');
      t.match(error.message, `waiting for the egress proxy ${url} to reach server.test:443`);
      await proxy.allClosed();
    });
  }

  t.test('a proxy that closes without an answer is proxy_failed', async (t) => {
    const closing = net.createServer((socket) => socket.once('data', () => socket.end()));
    const { port } = await listenForTest(t, closing);
    const proxy = proxyAt(`http://127.0.0.1:${port}`);
    const error = await failure(connectTls(server, agentTls, { timeoutMs, proxy }));
    t.equal(error.reason, 'proxy_failed');
  });

  t.test('the error names the variable that the proxy comes from', async (t) => {
    const closed = await reserveRefusedPort();
    t.teardown(() => closed.close());
    const proxy = proxyAt('', { HTTPS_PROXY: `http://127.0.0.1:${closed.port}` });
    t.equal(proxy, undefined, 'the flag has priority');
    const proxies = new EgressProxies({
      url: undefined,
      env: { HTTPS_PROXY: `http://127.0.0.1:${closed.port}` },
    });
    const fromVariable = proxies.for(server);
    const error = await failure(connectTls(server, agentTls, { timeoutMs, proxy: fromVariable }));
    t.match(error.message, /egress proxy http:\/\/127.0.0.1:\d+ \(from HTTPS_PROXY\): /);
    t.match(error.message, /NO_PROXY/, 'the cure');
  });

  t.test('if the proxy cannot reach the server, the error has its answer', async (t) => {
    const target = await reserveRefusedPort();
    t.teardown(() => target.close());
    const { port } = await startHttp1Proxy(t);
    const proxy = proxyAt(`http://127.0.0.1:${port}`);
    const error = await failure(connectTls(target, agentTls, { timeoutMs, proxy }));
    t.match(error.message, /was answered with 502 Bad Gateway/);
  });
});
