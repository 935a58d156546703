import { formatByteSize, parseByteSize } from '@fairlead/runtime/options';
import fc from 'fast-check';
import t from 'tap';

t.test('reads sizes with and without units', async (t) => {
  const sizes: readonly [string, number][] = [
    ['0', 0],
    ['65536', 65_536],
    ['64KiB', 65_536],
    ['64kib', 65_536],
    ['64Ki', 65_536],
    ['16MiB', 16_777_216],
    ['1.5GiB', 1_610_612_736],
    ['1MB', 1_000_000],
    ['10 kB', 10_000],
    ['7B', 7],
  ];
  for (const [text, bytes] of sizes) t.equal(parseByteSize(text), bytes, text);
});

t.test('refuses a text that is not a size', async (t) => {
  for (const text of [
    '',
    'KiB',
    '-1',
    '1.5',
    '0.3KB5',
    '1XiB',
    '1e3',
    '9999999GiB',
    'constructor',
  ]) {
    t.equal(parseByteSize(text), undefined, `"${text}"`);
  }
});

t.test('formats a size so that it can be read again', async (t) => {
  t.equal(formatByteSize(65_536), '64KiB');
  t.equal(formatByteSize(1500), '1500');
  fc.assert(fc.property(fc.nat(), (bytes) => parseByteSize(formatByteSize(bytes)) === bytes));
});
