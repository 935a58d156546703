import { BlockList } from 'node:net';
import {
  embeddedAddress,
  networkContains,
  parseIpAddress,
  parseIpNetwork,
} from '@fairlead/runtime/net';
import fc from 'fast-check';
import t from 'tap';

const text = (address: string) => parseIpAddress(address)?.text;

t.test('reads all spellings of an address as the same address', async (t) => {
  t.equal(text('10.0.0.1'), '10.0.0.1');
  for (const spelling of ['::ffff:10.0.0.1', '::FFFF:0a00:0001', '0:0:0:0:0:ffff:a00:1']) {
    t.equal(text(spelling), '10.0.0.1', spelling);
  }
  for (const spelling of ['fd00::1', 'FD00:0:0:0:0:0:0:1', 'fd00::0:1', 'fd00::1%eth0']) {
    t.equal(text(spelling), 'fd00::1', spelling);
  }
  t.equal(text('::1.2.3.4'), '::102:304');
});

t.test('refuses a text that is not an address', async (t) => {
  for (const bad of ['', '10.0.0', '10.0.0.256', '010.0.0.1', '[::1]', '2852039166', '::g', 'a']) {
    t.equal(parseIpAddress(bad), undefined, bad);
  }
});

t.test('reads networks, and refuses invalid ones', async (t) => {
  t.equal(parseIpNetwork('10.0.0.0/8')?.text, '10.0.0.0/8');
  t.equal(parseIpNetwork('10.0.0.1')?.text, '10.0.0.1/32');
  t.equal(parseIpNetwork('FD00::/8')?.text, 'fd00::/8');
  t.equal(parseIpNetwork('0.0.0.0/0')?.text, '0.0.0.0/0');
  t.equal(parseIpNetwork('::ffff:10.0.0.0/104')?.text, '10.0.0.0/8');
  const bad = ['10.0.0.1/8', '10.0.0.0/33', '10.0.0.0/08', '10.0.0.0/', '/8', 'fd00::/129', 'a/8'];
  for (const written of [...bad, '::ffff:0:0/95', '10.0.0.0/8/8', '10.0.0.0/-1']) {
    t.equal(parseIpNetwork(written), undefined, written);
  }
});

t.test('networks contain the same addresses as in net.BlockList', async (t) => {
  const families = [
    { address: fc.ipV4(), bits: 32, family: 'ipv4' as const },
    { address: fc.ipV6(), bits: 128, family: 'ipv6' as const },
  ];
  for (const { address, bits, family } of families) {
    const near = fc.tuple(address, address, fc.integer({ min: 0, max: bits }), fc.boolean());
    fc.assert(
      fc.property(near, ([base, other, prefixBits, same]) => {
        const baseAddress = parseIpAddress(base)!;
        if (baseAddress.family !== (family === 'ipv4' ? 4 : 6)) return;
        const hostBits = BigInt(bits - prefixBits);
        const first = (baseAddress.value >> hostBits) << hostBits;
        const network = { ...baseAddress, value: first, prefixBits };
        const asked = parseIpAddress(same ? base : other)!;
        const oracle = new BlockList();
        oracle.addSubnet(baseAddress.text, prefixBits, family);
        t.equal(
          networkContains(network, asked),
          asked.family === network.family && oracle.check(asked.text, family),
        );
      }),
      { numRuns: 200 },
    );
  }
});

t.test('a network contains its subnets, but not its supernets', async (t) => {
  const net = (written: string) => parseIpNetwork(written)!;
  t.ok(networkContains(net('10.0.0.0/8'), net('10.1.0.0/16')));
  t.ok(networkContains(net('10.0.0.0/8'), net('10.0.0.0/8')));
  t.notOk(networkContains(net('10.1.0.0/16'), net('10.0.0.0/8')));
  t.notOk(networkContains(net('10.0.0.0/8'), net('11.0.0.0/16')));
  t.notOk(networkContains(net('0.0.0.0/0'), net('fd00::/8')));
});

t.test('finds the address that is embedded in another', async (t) => {
  const embedded = (address: string) => embeddedAddress(parseIpAddress(address)!)?.text;
  t.equal(embedded('64:ff9b::169.254.169.254'), '169.254.169.254');
  t.equal(embedded('2002:a9fe:a9fe::1'), '169.254.169.254');
  t.equal(embedded('0.0.0.0'), '127.0.0.1');
  t.equal(embedded('::'), '::1');
  t.equal(embedded('10.0.0.1'), undefined);
  t.equal(embedded('fd00::1'), undefined);
  t.equal(embedded('64:ff9b:1::a9fe:a9fe'), '169.254.169.254');
  t.equal(embedded('64:ff9b:1:ffff:ffff:ffff:a9fe:a9fe'), '169.254.169.254');
  t.equal(embedded('64:ff9b:2::a9fe:a9fe'), undefined);
  t.equal(embedded('64:ff9b:0:1::a9fe:a9fe'), undefined);
  t.equal(embedded('::169.254.169.254'), '169.254.169.254');
  t.equal(embedded('::1'), undefined);
  t.equal(embedded('::1:0:0:0'), undefined);
});
