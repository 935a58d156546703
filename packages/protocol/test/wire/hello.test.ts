import { HELLO_LIMITS } from '@fairlead/protocol';
import { agreeOnVersion, PROTOCOL_VERSIONS, parseHello } from '@fairlead/protocol/internal';
import t from 'tap';

const parse = (json: string) => parseHello(Buffer.from(json));
const text = (chars: number) => 'x'.repeat(chars);
const list = <Item>(items: number, item: Item): Item[] => Array.from({ length: items }, () => item);

t.test('2.4 the limits are those of docs/spec.md', async (t) => {
  t.strictSame(HELLO_LIMITS, {
    versions: 64,
    softwareChars: 255,
    idChars: 255,
    identifiersChars: 8_192,
    tokenChars: 8_192,
    servers: 65_535,
    peers: 64,
    peerChars: 262,
  });
});

const fields: [field: string, valid: unknown[], invalid: unknown[]][] = [
  ['versions', [[1], list(64, 7)], [[], list(65, 7), [0], [1.5], ['1'], 1]],
  ['software', ['', text(255)], [text(256), 1]],
  ['agentId', ['', text(255)], [text(256), 1]],
  ['agentIdentifiers', ['', text(8_192)], [text(8_193), 1]],
  ['token', ['', text(8_192)], [text(8_193), 1]],
  ['serverId', ['', text(255)], [text(256), 1]],
  ['serverCount', [1, 65_535], [0, 65_536, 1.5, '1']],
  ['peers', [[], ['a:1'], list(64, text(262))], [list(65, 'a:1'), [text(263)], [1], 'a:1']],
  ['admitted', [true, false], ['true', 1]],
  ['maxStreams', [1, 1_000_000], [0, -1, 1.5, '1']],
];

for (const [field, valid, invalid] of fields) {
  t.test(`2.4 HELLO can have ${field} up to its limit`, async (t) => {
    for (const value of valid) {
      t.strictSame(parse(JSON.stringify({ [field]: value })), { [field]: value });
    }
  });

  t.test(`2.7 HELLO with invalid ${field} is refused with the field's name`, async (t) => {
    for (const value of [...invalid, null]) {
      t.throws(() => parse(JSON.stringify({ [field]: value })), {
        code: 'protocol_error',
        message: new RegExp(`^field ${field}(\\.0)? of HELLO: .`),
      });
    }
  });
}

t.test('2.4 unknown fields of HELLO are dropped', async (t) => {
  t.strictSame(parse('{"agentId":"a","color":"blue"}'), { agentId: 'a' });
  t.strictSame(parse('{}'), {});
});

t.test('2.7 HELLO that is not a JSON object is refused', async (t) => {
  for (const json of ['', '{', 'HELLO']) {
    t.throws(() => parse(json), { code: 'protocol_error', message: 'HELLO is not JSON' }, json);
  }
  for (const json of ['[1]', 'null', '"a"', '1']) {
    t.throws(() => parse(json), { code: 'protocol_error', message: /^HELLO: ./ }, json);
  }
});

t.test('2.5 the peers agree on a version that both speak', async (t) => {
  t.strictSame(PROTOCOL_VERSIONS, [1]);
  t.equal(agreeOnVersion([1]), 1);
  t.equal(agreeOnVersion([9, 1, 2]), 1);
  for (const [versions, shown] of [
    [[2, 3], '2, 3'],
    [[], ''],
    [undefined, 'unknown'],
  ] as const) {
    t.throws(() => agreeOnVersion(versions), {
      code: 'version_unsupported',
      message: `the peer speaks versions ${shown}, this side 1`,
    });
  }
});
