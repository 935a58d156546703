import { EgressProxies, NoProxyList } from '@fairlead/agent/internal';
import { UsageError } from '@fairlead/runtime/process';
import t from 'tap';

const server = { host: 'server.test', port: 8091 };

function proxyFor(env: NodeJS.ProcessEnv, url?: string | URL) {
  return new EgressProxies({ url, env }).for(server);
}

t.test('the flag overrides https_proxy, and https_proxy overrides HTTPS_PROXY', async (t) => {
  t.equal(proxyFor({}), undefined, 'no proxy');
  t.equal(proxyFor({ HTTPS_PROXY: 'http://upper:1' })?.name, 'http://upper:1');
  t.equal(proxyFor({ https_proxy: 'http://lower:2' })?.name, 'http://lower:2');
  const both = { HTTPS_PROXY: 'http://upper:1', https_proxy: 'http://lower:2' };
  t.equal(proxyFor(both)?.name, 'http://lower:2', 'lower case has priority');
  t.equal(proxyFor(both, 'http://flag:3')?.name, 'http://flag:3', 'the flag has priority');
  t.equal(proxyFor({}, new URL('https://flag'))?.name, 'https://flag:443', 'a URL object');
  t.equal(
    proxyFor({ https_proxy: '', HTTPS_PROXY: 'http://upper:1' }),
    undefined,
    'empty means no proxy',
  );
  t.equal(proxyFor({ HTTP_PROXY: 'http://plain:1' }), undefined, 'HTTP_PROXY is ignored');
});

t.test('a server in no_proxy is connected to directly, even with the flag', async (t) => {
  const env = { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'server.test' };
  t.equal(proxyFor(env), undefined);
  t.equal(proxyFor(env, 'http://flag:3'), undefined);
  t.equal(
    proxyFor({ ...env, no_proxy: 'other.test' })?.name,
    'http://p:1',
    'lower case has priority',
  );
});

t.test('reads the parts of a proxy URL', async (t) => {
  t.match(proxyFor({}, 'http://proxy.test:3128'), {
    host: 'proxy.test',
    port: 3128,
    secure: false,
    authorization: undefined,
  });
  t.match(proxyFor({}, 'proxy.test:3128'), { host: 'proxy.test', port: 3128, secure: false });
  t.match(proxyFor({}, 'https://[::1]:8443/'), { host: '::1', port: 8443, secure: true });
  t.match(proxyFor({}, 'http://proxy.test'), { port: 80 });
  const { name, authorization } = proxyFor({}, 'http://us%40er:p%3Aw%C3%A9@proxy.test:1') ?? {};
  t.equal(name, 'http://proxy.test:1', 'the name has no password');
  t.equal(authorization, `Basic ${Buffer.from('us@er:p:wé').toString('base64')}`);
  const userOnly = Buffer.from('user:').toString('base64');
  t.equal(proxyFor({}, 'http://user@proxy.test')?.authorization, `Basic ${userOnly}`);
});

t.test('the error for an invalid proxy URL has its source and no password', async (t) => {
  for (const url of [
    'socks5://u:hunter2@h:1',
    'http://u:hunter2@h:99999',
    'http://',
    'http://u:hunter2%@h',
  ]) {
    const error = t.throws(() => proxyFor({ HTTPS_PROXY: url }), UsageError) as UsageError;
    t.match(error.message, /^HTTPS_PROXY: /, url);
    t.notMatch(error.message, /hunter2/);
    t.throws(() => proxyFor({ https_proxy: url }), { message: /^https_proxy: / });
    t.throws(() => proxyFor({}, url), { message: /^--egress-proxy: / });
  }
});

/** List, host (some with `:port`), whether it is connected to directly. */
const cases: readonly [string, string, boolean][] = [
  ['', 'a.test', false],
  ['*', 'a.test', true],
  ['*', '10.0.0.1', true],
  ['a.test,*', 'b.test', true],
  // Names.
  ['a.test', 'a.test', true],
  ['a.test', 'A.Test', true],
  ['A.TEST', 'a.test', true],
  ['a.test', 'sub.a.test', true],
  ['a.test', 'deep.sub.a.test', true],
  ['a.test', 'nota.test', false],
  ['sub.a.test', 'a.test', false],
  ['.a.test', 'sub.a.test', true],
  ['.a.test', 'a.test', true],
  ['.a.test', 'nota.test', false],
  ['*.a.test', 'sub.a.test', true],
  ['*.a.test', 'nota.test', false],
  ['a.test.', 'a.test', true],
  ['a.test', 'a.test.', true],
  ['test', 'a.test', true],
  // Separators.
  ['x.test,a.test', 'a.test', true],
  ['x.test, a.test', 'a.test', true],
  ['x.test a.test', 'a.test', true],
  [' ,, a.test ,', 'a.test', true],
  // Addresses.
  ['10.0.0.1', '10.0.0.1', true],
  ['10.0.0.1', '10.0.0.10', false],
  ['0.0.1', '10.0.0.1', false],
  ['::1', '::1', true],
  ['[::1]', '::1', true],
  ['::1', '0:0:0:0:0:0:0:1', true],
  ['fd00::1', 'fd00:0::1', true],
  ['fd00::1', 'fd00::2', false],
  // Networks.
  ['10.0.0.0/8', '10.200.3.4', true],
  ['10.0.0.0/8', '11.0.0.1', false],
  ['192.168.4.0/22', '192.168.7.255', true],
  ['192.168.4.0/22', '192.168.8.0', false],
  ['0.0.0.0/0', '8.8.8.8', true],
  ['fd00::/8', 'fd12::1', true],
  ['fd00::/8', 'fe80::1', false],
  ['10.0.0.0/8', 'ten.test', false],
  ['10.0.0.0/33', '10.0.0.1', false],
  ['10.0.0.0/', '10.0.0.1', false],
  ['10.0.0.0/x', '10.0.0.1', false],
  ['/8', '10.0.0.1', false],
  ['a.test/8', 'a.test', false],
  // Ports.
  ['a.test:443', 'a.test:443', true],
  ['a.test:443', 'a.test:8443', false],
  ['a.test:443', 'sub.a.test:443', true],
  ['10.0.0.1:443', '10.0.0.1:443', true],
  ['10.0.0.1:443', '10.0.0.1:80', false],
  ['[::1]:443', '[::1]:443', true],
  ['[::1]:443', '[::1]:80', false],
  // Loopback is not special.
  ['a.test', 'localhost', false],
  ['a.test', '127.0.0.1', false],
  // Entries that match nothing.
  ['.', 'a.test', false],
  ['*.', 'a.test', false],
];

for (const [list, destination, direct] of cases) {
  t.test(`NO_PROXY="${list}" ${direct ? 'lists' : 'does not list'} ${destination}`, async (t) => {
    const match = /^(?:\[(.*)\]|([^:]*)):(\d+)$/.exec(destination);
    const target = match
      ? { host: match[1] ?? match[2] ?? '', port: Number(match[3]) }
      : { host: destination, port: 8091 };
    t.equal(new NoProxyList(list).matches(target), direct);
  });
}
