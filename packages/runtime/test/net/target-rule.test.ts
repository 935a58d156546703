import { isIPv4 } from 'node:net';
import {
  parseIpAddress,
  parseTargetRule,
  ruleCoversAddress,
  ruleCoversName,
} from '@fairlead/runtime/net';
import fc from 'fast-check';
import t from 'tap';

const coversName = (rule: string, name: string, port = 443) =>
  ruleCoversName(parseTargetRule(rule)!, name, port);
const coversAddress = (rule: string, address: string, port = 443) =>
  ruleCoversAddress(parseTargetRule(rule)!, parseIpAddress(address)!, port);

t.test('a rule for a name covers it in any case, and a star covers subdomains', async (t) => {
  t.ok(coversName('node-1', 'node-1'));
  t.ok(coversName('Node-1.Example.', 'node-1.example'));
  t.notOk(coversName('node-1', 'node-10'));
  t.ok(coversName('*.example', 'a.example'));
  t.ok(coversName('*.example', 'a.b.example'));
  t.notOk(coversName('*.example', 'example'));
  t.notOk(coversName('*.example', 'aexample'));
  t.ok(coversName('*', 'anything'));
  t.notOk(coversName('0.0.0.0/0', 'a.example'), 'a network does not cover a name');
});

t.test('a rule for a network covers its addresses, also embedded ones', async (t) => {
  t.ok(coversAddress('10.0.0.0/8', '10.1.2.3'));
  t.ok(coversAddress('10.0.0.0/8', '::ffff:10.1.2.3'));
  t.ok(coversAddress('10.0.0.0/8', '64:ff9b::a01:203'));
  t.ok(coversAddress('10.0.0.0/8', '64:ff9b:1::a01:203'));
  t.ok(coversAddress('10.0.0.0/8', '::10.1.2.3'));
  t.ok(coversAddress('127.0.0.0/8', '0.0.0.0'));
  t.ok(coversAddress('::1', '::'));
  t.ok(coversAddress('fd00::/8', 'fd00::1'));
  t.ok(coversAddress('64:ff9b::/96', '64:ff9b::a01:203'));
  t.notOk(coversAddress('10.0.0.0/8', '11.0.0.1'));
  t.notOk(coversAddress('a.example', '10.0.0.1'));
  t.ok(coversAddress('*', '10.0.0.1'));
});

t.test('a rule with ports covers only these ports', async (t) => {
  for (const rule of ['10.0.0.1:443', '10.0.0.0/8:440-450', '*:443']) {
    t.ok(coversAddress(rule, '10.0.0.1', 443), rule);
    t.notOk(coversAddress(rule, '10.0.0.1', 80), rule);
  }
  t.ok(coversAddress('[fd00::/8]:1-65535', 'fd00::1', 65_535));
  t.ok(coversAddress('[fd00::1]:443', 'fd00::1', 443));
  t.notOk(coversAddress('[fd00::1]:443', 'fd00::1', 444));
  t.ok(coversName('*.example:443', 'a.example', 443));
  t.notOk(coversName('*.example:443', 'a.example', 80));
});

t.test('a text that the resolver reads as an IPv4 address is not a name', async (t) => {
  const spellings = ['0x0a000005', '0X0A000005', '0xa.0x0.0x0.0x5', '0xa.5', '10.0x5', '167772165'];
  const more = ['012.0.0.5', '10.5', '0x', '0xa000005.', '*.0x5', '*.5', '0x1ffffffff'];
  for (const text of [...spellings, ...more]) {
    for (const rule of [text, `${text}:443`]) t.equal(parseTargetRule(rule), undefined, rule);
  }
  for (const name of ['0x0a.example', 'node-0x5', '0xg', 'a0x5', '10.example']) {
    t.ok(coversName(name, name), name);
  }
});

t.test('refuses exactly the names that the URL parser reads as an IPv4 address', async (t) => {
  const label = fc.constantFrom('0x', '0xa', '0Xff', '10', '012', '255', '08', 'a', 'x0', '0xg');
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 4 }), (labels) => {
      const text = labels.join('.');
      const host = URL.canParse(`http://${text}/`) ? new URL(`http://${text}/`).hostname : '';
      if (isIPv4(text)) return;
      // The URL parser refuses numbers out of range. They are no names either.
      const isNumber = host === '' || isIPv4(host);
      t.equal(parseTargetRule(text)?.host.kind, isNumber ? undefined : 'name', text);
    }),
    { numRuns: 300, seed: 1 },
  );
});

t.test('refuses a text that is not a rule', async (t) => {
  const bad = [
    '',
    ':443',
    '10.0.0.1:0',
    '10.0.0.1:65536',
    '10.0.0.1:2-1',
    '10.0.0.256',
    '10.0.0.1/8',
  ];
  const more = [
    'fd00::1:99999',
    '[node-1]:443',
    'a b',
    '*a',
    'a.*',
    '*.*',
    '10.0.0.0/8:',
    'http://a',
    '**',
  ];
  for (const text of [...bad, ...more]) t.equal(parseTargetRule(text), undefined, text);
});
