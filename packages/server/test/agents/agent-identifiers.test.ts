import { parseAgentIdentifiers } from '@fairlead/server/internal';
import t from 'tap';

t.test('reads all keys and repeated keys', async (t) => {
  const text =
    'host=node-1&host=Node-1.Example.&ipv4=10.0.0.1&ipv6=2001:DB8:0::1&cidr=10.1.0.0/16&default-route=true';
  t.strictSame(parseAgentIdentifiers(text), {
    hosts: ['node-1', 'node-1.example'],
    addresses: ['10.0.0.1', '2001:db8::1'],
    cidrs: [{ text: '10.1.0.0/16', family: 4, value: 0x0a01_0000n, prefixBits: 16 }],
    defaultRoute: true,
    warnings: [],
  });
});

t.test('reads host names whose labels are as short as can be', async (t) => {
  for (const host of ['a', 'a.b', '1.c', '_a.b-c.d']) {
    t.strictSame(parseAgentIdentifiers(`host=${host}`).hosts, [host]);
  }
});

t.test('reads an empty text as no claims', async (t) => {
  const { hosts, addresses, cidrs, defaultRoute, warnings } = parseAgentIdentifiers('');
  t.strictSame([hosts, addresses, cidrs, warnings], [[], [], [], []]);
  t.equal(defaultRoute, false);
});

t.test('reads the spellings of one address as one identifier', async (t) => {
  const spellings = {
    '10.0.0.1': ['10.0.0.1', '::ffff:10.0.0.1', '::FFFF:a00:1', '0:0:0:0:0:ffff:0a00:0001'],
    '2001:db8::1': ['2001:db8::1', '2001:0DB8:0:0:0:0:0:0001', '2001:db8:0:0::1'],
    '::': ['::', '0::0', '0:0:0:0:0:0:0:0'],
  };
  for (const [canonical, texts] of Object.entries(spellings)) {
    for (const key of ['ipv4', 'ipv6', 'host']) {
      const query = texts.map((text) => `${key}=${text}`).join('&');
      const { addresses, hosts } = parseAgentIdentifiers(query);
      t.strictSame(addresses, [canonical], query);
      t.strictSame(hosts, []);
    }
  }
});

t.test('clears the bits of a network beyond its prefix', async (t) => {
  const spellings: Record<string, string> = {
    '10.1.2.3/16': '10.1.0.0/16',
    '10.1.2.3/32': '10.1.2.3/32',
    '1.2.3.4/0': '0.0.0.0/0',
    '::ffff:10.1.2.3/112': '10.1.0.0/16',
    '2001:DB8::1/32': '2001:db8::/32',
    'ff::/0': '::/0',
    '2001:db8::1/128': '2001:db8::1/128',
    '2001:db8:ffff:ffff:ffff::/45': '2001:db8:fff8::/45',
  };
  for (const [text, canonical] of Object.entries(spellings)) {
    const { cidrs, warnings } = parseAgentIdentifiers(`cidr=${text}`);
    t.strictSame(warnings, []);
    t.strictSame(
      cidrs.map(({ text: shown }) => shown),
      [canonical],
      text,
    );
  }
});

t.test('warns about an invalid part and ignores it', async (t) => {
  const bad = [
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the text of a manifest whose variable was not expanded
    'ipv4=${HOST_IP}',
    'ipv4=$(HOST_IP)',
    'ipv4=',
    'ipv4=10.0.0.256',
    'ipv4=010.0.0.1',
    'ipv4=10.0.0.1:80',
    'ipv6=fe80::1%25eth0',
    'host=',
    'host=a b',
    'host=a..b',
    'host=*.example',
    `host=${'a'.repeat(254)}`,
    'cidr=10.0.0.0',
    'cidr=10.0.0.0/33',
    'cidr=10.0.0.0/-1',
    'cidr=10.0.0.0/8/9',
    'cidr=10.0.0/8',
    'cidr=::/129',
    'cidr=::ffff:10.0.0.0/95',
    'default-route=yes',
    'default-route=truex',
    'default-route=xtrue',
    'default-route=falsex',
    'default-route=xfalse',
    'Host=a',
    'ip=10.0.0.1',
    'constructor=a',
  ];
  for (const part of bad) {
    const { warnings, ...identifiers } = parseAgentIdentifiers(`${part}&host=good`);
    t.equal(warnings.length, 1, part);
    t.match(warnings[0], /^\S+=.* (is|has) n\w+ /);
    t.strictSame(identifiers, { hosts: ['good'], addresses: [], cidrs: [], defaultRoute: false });
  }
});

t.test('reads default-route as Go reads booleans', async (t) => {
  for (const word of ['1', 't', 'T', 'true', 'TRUE', 'True']) {
    t.equal(parseAgentIdentifiers(`default-route=${word}`).defaultRoute, true, word);
  }
  for (const word of ['0', 'f', 'F', 'false', 'FALSE', 'False']) {
    const { defaultRoute, warnings } = parseAgentIdentifiers(`default-route=${word}`);
    t.strictSame([defaultRoute, warnings], [false, []], word);
  }
});
