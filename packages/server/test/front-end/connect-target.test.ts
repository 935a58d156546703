import { TunnelError } from '@fairlead/protocol';
import { parseConnectTarget } from '@fairlead/server/internal';
import t from 'tap';

const longestName = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`;

const good: [text: string, host: string, port: number][] = [
  ['10.0.0.1:10250', '10.0.0.1', 10_250],
  ['[::1]:443', '::1', 443],
  ['[2001:DB8::1]:1', '2001:DB8::1', 1],
  ['[::ffff:10.0.0.1]:65535', '::ffff:10.0.0.1', 65_535],
  ['node-1:22', 'node-1', 22],
  ['kubernetes.default.svc.cluster.local:443', 'kubernetes.default.svc.cluster.local', 443],
  ['example.org.:80', 'example.org.', 80],
  ['_sip._tcp.example.org:80', '_sip._tcp.example.org', 80],
  ['2852039166:80', '2852039166', 80],
  [`${longestName}:80`, longestName, 80],
  [`${longestName}.:80`, `${longestName}.`, 80],
];

for (const [text, host, port] of good) {
  t.test(`target ${text} is accepted`, async (t) => {
    t.same(parseConnectTarget(text), { host, port });
  });
}

const bad = [
  '',
  ':',
  ':443',
  'host',
  'host:',
  'host:0',
  'host:00',
  'host:080',
  'host:65536',
  'host:100000',
  'host:-1',
  'host:+1',
  'host:1a',
  'host:0x50',
  'host:80 ',
  ' host:80',
  'ho st:80',
  'host:8 0',
  'host:80\n',
  'ho\0st:80',
  'host\u007f:80',
  'höst:80',
  'user@host:80',
  'user:password@host:80',
  'host:80:80',
  'http://host:80',
  'host:80/',
  'host:80?x',
  'host%41:80',
  '::1:443',
  '[::1]',
  '[::1]:',
  '[::1]443',
  '[::1%eth0]:443',
  '[fe80::1%25eth0]:443',
  '[10.0.0.1]:443',
  '[host]:443',
  '[]:443',
  '[:::1]:443',
  '[::1:443',
  '::1]:443',
  '.:80',
  'a..b:80',
  '.a:80',
  '-a:80',
  'a-:80',
  `${'a'.repeat(64)}:80`,
  `${longestName}x:80`,
  `${'a.'.repeat(200)}a:80`,
];

for (const text of bad) {
  t.test(`target ${JSON.stringify(text.slice(0, 40))} is refused`, async (t) => {
    try {
      parseConnectTarget(text);
      t.fail('it was accepted');
    } catch (error) {
      t.ok(error instanceof TunnelError);
      t.match(error, { code: 'bad_target', httpStatus: 400 });
      t.notMatch((error as Error).message, /[\r\n\0]/, 'the message is one line');
    }
  });
}
