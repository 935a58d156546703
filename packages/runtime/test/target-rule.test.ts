import {
  parseIpAddress,
  parseTargetRule,
  ruleCoversAddress,
  ruleCoversName,
} from '@fairlead/runtime';
import t from 'tap';

const coversName = (rule: string, name: string, port = 443) =>
  ruleCoversName(parseTargetRule(rule)!, name, port);
const coversAddress = (rule: string, address: string, port = 443) =>
  ruleCoversAddress(parseTargetRule(rule)!, parseIpAddress(address)!, port);

t.test('names', async (t) => {
  t.ok(coversName('node-1', 'node-1'));
  t.ok(coversName('Node-1.Example.', 'node-1.example'));
  t.notOk(coversName('node-1', 'node-10'));
  t.ok(coversName('*.example', 'a.example'));
  t.ok(coversName('*.example', 'a.b.example'));
  t.notOk(coversName('*.example', 'example'));
  t.notOk(coversName('*.example', 'aexample'));
  t.ok(coversName('*', 'anything'));
  t.notOk(coversName('0.0.0.0/0', 'a.example'), 'a network is no name');
});

t.test('addresses, also inside others', async (t) => {
  t.ok(coversAddress('10.0.0.0/8', '10.1.2.3'));
  t.ok(coversAddress('10.0.0.0/8', '::ffff:10.1.2.3'));
  t.ok(coversAddress('10.0.0.0/8', '64:ff9b::a01:203'));
  t.ok(coversAddress('127.0.0.0/8', '0.0.0.0'));
  t.ok(coversAddress('::1', '::'));
  t.ok(coversAddress('fd00::/8', 'fd00::1'));
  t.ok(coversAddress('64:ff9b::/96', '64:ff9b::a01:203'));
  t.notOk(coversAddress('10.0.0.0/8', '11.0.0.1'));
  t.notOk(coversAddress('a.example', '10.0.0.1'));
  t.ok(coversAddress('*', '10.0.0.1'));
});

t.test('ports', async (t) => {
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

t.test('what is no rule', async (t) => {
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
