import { formatHostPort, parseHostPort } from '@fairlead/runtime/net';
import t from 'tap';

t.test('reads and writes names and addresses with ports', async (t) => {
  for (const [text, host, port] of [
    ['10.0.0.1:8091', '10.0.0.1', 8091],
    ['[::1]:1', '::1', 1],
    ['[2001:db8::1]:65535', '2001:db8::1', 65_535],
    ['server-0.servers.kube-system.svc:8091', 'server-0.servers.kube-system.svc', 8091],
  ] as const) {
    const parsed = parseHostPort(text);
    t.strictSame(parsed, { host, port });
    t.equal(parsed && formatHostPort(parsed), text);
  }
});

t.test('refuses a text that is not a host and a port', async (t) => {
  for (const text of [
    '',
    'host',
    ':8091',
    'host:',
    'host:0',
    'host:65536',
    'host:08091',
    'host:+1',
    'host: 1',
    'a b:1',
    '::1:8091',
    '[::1]',
    '[::1]8091',
    '[10.0.0.1]:1',
    '[]:1',
    '1.2.3:1',
    'http://host:1',
    'user@host:1',
  ]) {
    t.equal(parseHostPort(text), undefined, JSON.stringify(text));
  }
});
