import { BlockList } from 'node:net';
import { type IpNetwork, networkContains, parseCidr, parseIpAddress } from '@fairlead/runtime/net';
import { PrefixTable } from '@fairlead/server/internal';
import fc from 'fast-check';
import t from 'tap';

function cidr(text: string) {
  const parsed = parseCidr(text);
  if (!parsed) throw new Error(text);
  return parsed;
}

function matches<T>(table: PrefixTable<T>, address: string): T[] {
  const parsed = parseIpAddress(address);
  if (!parsed) throw new Error(address);
  return [...table.matches(parsed)];
}

function tableOf(...texts: string[]): PrefixTable<string> {
  const table = new PrefixTable<string>();
  for (const text of texts) table.set(cidr(text), text);
  return table;
}

t.test('returns the longest prefix first, in any order of insertion', async (t) => {
  const nets = ['0.0.0.0/0', '10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', '10.1.2.3/32'];
  for (const order of [nets, [...nets].reverse()]) {
    const table = tableOf(...order);
    t.strictSame(matches(table, '10.1.2.3'), [...nets].reverse());
    t.strictSame(matches(table, '10.1.2.4'), [
      '10.1.2.0/24',
      '10.1.0.0/16',
      '10.0.0.0/8',
      '0.0.0.0/0',
    ]);
    t.strictSame(matches(table, '11.0.0.0'), ['0.0.0.0/0']);
    t.strictSame(matches(table, '::1'), [], 'an IPv4 network does not match an IPv6 address');
  }
});

t.test('an IPv6 network does not match IPv4 addresses, mapped or not', async (t) => {
  const table = tableOf('::/0', '2001:db8::/32');
  t.strictSame(matches(table, '10.0.0.1'), []);
  t.strictSame(matches(table, '::ffff:10.0.0.1'), []);
  t.strictSame(matches(table, '2001:db8::9'), ['2001:db8::/32', '::/0']);
});

t.test('deletes one network and keeps its neighbors', async (t) => {
  const table = tableOf('10.0.0.0/8', '10.1.0.0/16', '10.2.0.0/16');
  table.delete(cidr('10.1.0.0/16'));
  table.delete(cidr('10.9.0.0/17'));
  t.strictSame(matches(table, '10.1.0.1'), ['10.0.0.0/8']);
  t.strictSame(matches(table, '10.2.0.1'), ['10.2.0.0/16', '10.0.0.0/8']);
  t.equal(table.get(cidr('10.1.0.0/16')), undefined);
  t.equal(table.get(cidr('10.2.3.4/16')), '10.2.0.0/16');
  table.delete(cidr('10.2.0.0/16'));
  t.strictSame(matches(table, '10.2.0.1'), ['10.0.0.0/8'], 'the last network of its length');
});

t.test('contains what was added and not deleted, whatever the order', async () => {
  const address = fc.constantFrom('10.0.0.0', '10.0.0.1', '::', 'fd00::1');
  const step = fc.record({
    network: fc
      .tuple(address, fc.constantFrom(0, 8, 32))
      .map(([base, bits]) => cidr(`${base}/${bits}`)),
    isAdded: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), address, (steps, probe) => {
      const table = new PrefixTable<string>();
      const kept = new Map<string, IpNetwork>();
      for (const { network, isAdded } of steps) {
        if (isAdded) {
          table.set(network, network.text);
          kept.set(network.text, network);
        } else {
          table.delete(network);
          kept.delete(network.text);
        }
        if (table.get(network) !== kept.get(network.text)?.text) return false;
      }
      const containing = [...kept.values()].filter((network) =>
        networkContains(network, parseIpAddress(probe)!),
      );
      containing.sort((one, other) => other.prefixBits - one.prefixBits);
      return matches(table, probe).join() === containing.map(({ text }) => text).join();
    }),
  );
});

for (const [family, address, width] of [
  [4, fc.ipV4(), 32],
  [6, fc.ipV6(), 128],
] as const) {
  const type = `ipv${family}` as const;
  /** Without mapped addresses, which count as IPv4. */
  const ofFamily = address.filter((text) => parseIpAddress(text)?.family === family);

  t.test(`${type}: matches the same networks as Node's BlockList`, async () => {
    const network = fc.tuple(ofFamily, fc.integer({ min: 0, max: width }));
    fc.assert(
      fc.property(fc.array(network, { maxLength: 20 }), ofFamily, (networks, probe) => {
        const expected = networks.filter(([base, prefix]) => {
          const list = new BlockList();
          list.addSubnet(base, prefix, type);
          return list.check(probe, type);
        });
        const prefixes = [...new Set(expected.map(([, prefix]) => prefix))].sort((a, b) => b - a);
        const table = tableOf(...networks.map(([base, prefix]) => `${base}/${prefix}`));
        const found = matches(table, probe).map((text) => Number(text.split('/')[1]));
        return found.join() === prefixes.join();
      }),
    );
  });
}
