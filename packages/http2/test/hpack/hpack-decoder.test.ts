import { Http2Error } from '@fairlead/http2';
import { HpackDecoder } from '@fairlead/http2/internal';
import t from 'tap';

function decode(decoder: HpackDecoder, hex: string): string[] {
  const fields: string[] = [];
  const block = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  decoder.decode(block, (name, value) => fields.push(`${name}: ${value}`));
  return fields;
}

const decodeAll = (blocks: readonly string[]) => {
  const decoder = new HpackDecoder();
  return blocks.map((hex) => decode(decoder, hex));
};

t.test('decodes the representations of RFC 7541 appendix C.2', async (t) => {
  const custom = '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572';
  t.strictSame(decodeAll([custom]), [['custom-key: custom-header']]);
  t.strictSame(decodeAll(['040c 2f73 616d 706c 652f 7061 7468']), [[':path: /sample/path']]);
  t.strictSame(decodeAll(['1008 7061 7373 776f 7264 0673 6563 7265 74']), [['password: secret']]);
  t.strictSame(decodeAll(['82']), [[':method: GET']]);
});

const requests = [
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
  [
    ':method: GET',
    ':scheme: http',
    ':path: /',
    ':authority: www.example.com',
    'cache-control: no-cache',
  ],
  [
    ':method: GET',
    ':scheme: https',
    ':path: /index.html',
    ':authority: www.example.com',
    'custom-key: custom-value',
  ],
];

t.test('decodes the requests of appendix C.3, without Huffman codes', async (t) => {
  const decoded = decodeAll([
    '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
    '8286 84be 5808 6e6f 2d63 6163 6865',
    '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
  ]);
  t.strictSame(decoded, requests);
});

t.test('decodes the requests of appendix C.4, with Huffman codes', async (t) => {
  const decoded = decodeAll([
    '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
    '8286 84be 5886 a8eb 1064 9cbf',
    '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
  ]);
  t.strictSame(decoded, requests);
});

t.test('evicts entries from a table of 256 bytes, as in appendix C.6', async (t) => {
  const date = 'date: Mon, 21 Oct 2013 20:13:21 GMT';
  const location = 'location: https://www.example.com';
  const cookie = 'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';
  const decoded = decodeAll([
    // The table size update comes first.
    `3fe1 01 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
     2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`.replaceAll(/\s/g, ''),
    '4883 640e ffc1 c0bf',
    `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7
     821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed
     4ee5 b106 3d50 07`.replaceAll(/\s/g, ''),
  ]);
  t.strictSame(decoded, [
    [':status: 302', 'cache-control: private', date, location],
    [':status: 307', 'cache-control: private', date, location],
    [
      ':status: 200',
      'cache-control: private',
      'date: Mon, 21 Oct 2013 20:13:22 GMT',
      location,
      'content-encoding: gzip',
      cookie,
    ],
  ]);
});

for (const [what, hex] of [
  ['index 0', '80'],
  ['an index beyond both tables', 'be'],
  ['a size update after a field', '82 20'],
  ['a table of 4,097 bytes', '3fe2 1f'],
  ['an integer that never ends', 'ffff ffff ffff ffff'],
  ['an integer that is cut off', 'ff'],
  ['a string that exceeds its block', '000a 61'],
  ['a name without a value', '0001 61'],
  ['Huffman padding of 8 bits', '0082 f8ff 00'],
  ['Huffman padding with zeros', '0081 00 00'],
  ['a Huffman code for the end of the string', '0084 ffff fffc 00'],
] as const) {
  t.test(`refuses ${what} with COMPRESSION_ERROR`, async (t) => {
    t.throws(() => decodeAll([hex]), { name: new Http2Error(9).name, code: 9 });
  });
}

t.test('accepts a table of exactly 4,096 bytes', async (t) => {
  t.strictSame(decodeAll(['3fe1 1f 82']), [[':method: GET']]);
});

t.test('an entry that is larger than the table empties it', async (t) => {
  const decoder = new HpackDecoder();
  decode(decoder, '4001 6101 62');
  t.strictSame(decode(decoder, 'be'), ['a: b']);
  decode(decoder, `4001 63 7f89 26 ${'61'.repeat(5_000)}`);
  t.throws(() => decode(decoder, 'be'), { code: 9 });
});
