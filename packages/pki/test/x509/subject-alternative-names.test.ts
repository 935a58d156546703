import {
  type Authority,
  agentConstraintUris,
  createAuthority,
  issueCertificate,
} from '@fairlead/pki';
import fc from 'fast-check';
import t from 'tap';

const authority = await createAuthority({ name: 'Test CA' });

const namesOf = async (names: {
  hosts?: string[];
  ips?: string[];
  uris?: string[];
}): Promise<string | undefined> =>
  (await issueCertificate(authority, { kind: 'agent', name: 'a', ...names })).certificate
    .subjectAltName;

t.test('the extension has all kinds of names in order and without duplicates', async (t) => {
  t.equal(
    await namesOf({
      hosts: ['LOCALHOST', 'localhost', '*.example.com', 'xn--bcher-kva.example', 'a'],
      ips: ['127.0.0.1', '::1', '0:0::1', '2001:DB8::a'],
      uris: ['spiffe://cluster/ns/a', 'fairlead:default-route', 'fairlead:default-route'],
    }),
    'DNS:localhost, DNS:*.example.com, DNS:xn--bcher-kva.example, DNS:a, ' +
      'IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:2001:DB8:0:0:0:0:0:A, ' +
      'URI:spiffe://cluster/ns/a, URI:fairlead:default-route',
  );
});

t.test('a certificate without names does not have the extension', async (t) => {
  t.equal(await namesOf({}), undefined);
  t.equal(await namesOf({ hosts: [], ips: [], uris: [] }), undefined);
});

t.test('every IPv6 address is encoded as its eight groups', async () => {
  const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
  const isMapped = (groups: number[]): boolean =>
    groups.slice(0, 5).every((value) => value === 0) && groups[5] === 0xffff;
  await fc.assert(
    fc.asyncProperty(fc.array(group, { minLength: 8, maxLength: 8 }), async (groups) => {
      fc.pre(!isMapped(groups));
      const long = groups.map((value) => value.toString(16)).join(':');
      const short = new URL(`http://[${long}]/`).hostname.slice(1, -1);
      const expected = `IP Address:${long.toUpperCase()}`;
      return (
        (await namesOf({ ips: [short] })) === expected &&
        (await namesOf({ ips: [long] })) === expected
      );
    }),
    { numRuns: 60 },
  );
});

t.test('unusual spellings of IPv6 addresses are accepted', async (t) => {
  t.equal(await namesOf({ ips: ['::1.2.3.4'] }), 'IP Address:0:0:0:0:0:0:102:304');
  t.equal(await namesOf({ ips: ['::'] }), 'IP Address:0:0:0:0:0:0:0:0');
  t.equal(await namesOf({ ips: ['::ffff:1'] }), 'IP Address:0:0:0:0:0:0:FFFF:1');
  t.equal(await namesOf({ ips: ['1::'] }), 'IP Address:1:0:0:0:0:0:0:0');
});

const bad: [code: string, values: string[]][] = [
  ['bad_ip', ['', '1.2.3', '1.2.3.256', '01.2.3.4', '2852039166', '[::1]', '1.2.3.4/8', ' ::1']],
  ['bad_ip', ['fe80::1%eth0', '::ffff:1.2.3.4', '::ffff:102:304', 'localhost', '::1::']],
  ['bad_host', ['', 'a b', 'a..b', '.a', 'a.', '-a', 'a-', 'a_b', 'bücher.de', 'a\n', 'a/b']],
  ['bad_host', ['*', 'a.*', '*a.b', '*.*.a', 'x'.repeat(64), `${'a.'.repeat(127)}a`, 'a,DNS:b']],
  ['bad_host', ['1.2.3.4', '::1', '2852039166', 'a.1', 'host:80', 'https://a']],
  ['bad_uri', ['', 'no-scheme', 'a: b', 'fairlead:ü', 'x:\n', 'x:\0']],
];
const field = { bad_ip: 'ips', bad_host: 'hosts', bad_uri: 'uris' } as const;
for (const [code, values] of bad) {
  for (const value of values) {
    t.test(`refuses ${JSON.stringify(value)} with ${code}`, async (t) => {
      const names = {
        [field[code as keyof typeof field]]: ['127.0.0.1', value].slice(code === 'bad_ip' ? 0 : 1),
      };
      await t.rejects(namesOf(names), { name: 'PkiError', code, message: JSON.stringify(value) });
    });
  }
}

t.test('refuses a server certificate without hosts and addresses', async (t) => {
  const server = (names: object): Promise<unknown> =>
    issueCertificate(authority satisfies Authority, { kind: 'server', name: 's', ...names });
  await t.rejects(server({}), { code: 'bad_host' });
  await t.rejects(server({ hosts: [], uris: ['a:b'] }), { code: 'bad_host' });
  await t.resolves(server({ ips: ['::1'] }));
});

t.test('the claims of an agent are URIs in canonical form', async (t) => {
  const uris = agentConstraintUris({
    cidrs: ['10.1.0.0/16', '2001:DB8:0::/32', '10.1.2.3/32', '0.0.0.0/0', '10.1.2.128/25', '::/0'],
    defaultRoute: true,
  });
  t.same(uris, [
    'fairlead:cidr=10.1.0.0/16',
    'fairlead:cidr=2001:db8::/32',
    'fairlead:cidr=10.1.2.3/32',
    'fairlead:cidr=0.0.0.0/0',
    'fairlead:cidr=10.1.2.128/25',
    'fairlead:cidr=::/0',
    'fairlead:default-route',
  ]);
  t.equal(await namesOf({ uris }), uris.map((uri) => `URI:${uri}`).join(', '));
  t.same(
    agentConstraintUris({ cidrs: ['10.1.0.0/16-24', '2001:DB8::/32-128', '10.1.0.0/16-16'] }),
    [
      'fairlead:cidr=10.1.0.0/16-24',
      'fairlead:cidr=2001:db8::/32-128',
      'fairlead:cidr=10.1.0.0/16-16',
    ],
  );
  t.same(agentConstraintUris({}), []);
  t.same(agentConstraintUris({ defaultRoute: false }), []);
});

for (const cidr of [
  ...['', '10.0.0.0', '10.0.0.0/', '10.0.0.0/33', '::/129', '10.0.0.0/08', '10.0.0.0/-1', '/8'],
  ...['10.0.0.0/8/8', 'host/8', '10.0.0/8', '10.0.0.0/8 ', '::ffff:10.0.0.0/104'],
  ...['10.1.0.0/16-15', '10.1.0.0/16-33', '10.1.0.0/16-', '10.1.0.0/16-024', '::/0-129'],
  ...['10.1.0.1/16', '10.128.0.0/8', '2001:db8::1/64', '0.0.0.1/0', '10.1.2.129/25'],
]) {
  t.test(`refuses the network ${JSON.stringify(cidr)}`, async (t) => {
    t.throws(() => agentConstraintUris({ cidrs: [cidr] }), {
      code: 'bad_cidr',
      message: `"${cidr}"`,
    });
  });
}
