import { formatGoDuration, parseGoDuration } from '@fairlead/runtime/options';
import fc from 'fast-check';
import t from 'tap';

t.test('reads durations as Go does', async (t) => {
  const durations: readonly [string, number][] = [
    ['0', 0],
    ['0s', 0],
    ['1h', 3_600_000],
    ['1m30s', 90_000],
    ['500ms', 500],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['2h45m10s5ms', 9_910_005],
    ['1500us', 2],
    ['1ns', 1],
    ['3\u00b5s', 1],
    ['3\u03bcs', 1],
  ];
  for (const [text, durationMs] of durations) t.equal(parseGoDuration(text), durationMs, text);
});

t.test('refuses a text that is not a duration', async (t) => {
  for (const text of ['', '5', '5x', 's', '-1s', '1 s', '1h 5m', '1s5', '1e3s', 'h1', '..5s']) {
    t.equal(parseGoDuration(text), undefined, `"${text}"`);
  }
});

t.test('formats a duration so that it can be read again', async (t) => {
  t.equal(formatGoDuration(0), '0s');
  t.equal(formatGoDuration(90_000), '1m30s');
  t.equal(formatGoDuration(3_600_000), '1h');
  fc.assert(
    fc.property(fc.nat(), (durationMs) => {
      return parseGoDuration(formatGoDuration(durationMs)) === durationMs;
    }),
  );
});
