/**
 * Durations as Go's time.ParseDuration reads them (`1h`, `1m30s`, `500ms`, `0`), in milliseconds.
 */

/**
 * The longest delay of a Node timer, about 24.8 days; a longer one fires at once. It means "never" for options
 * that 0 disables.
 */
export const maxTimerMs = 2 ** 31 - 1;

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  // Two code points that look alike: the micro sign and the Greek letter.
  '\u00b5s': 1e-3,
  '\u03bcs': 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

const part = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/gy;

/**
 * @returns whole milliseconds, rounded up so that only 0 becomes 0; undefined if the text is not a duration, or
 *   negative
 */
export function parseGoDuration(text: string): number | undefined {
  if (text === '0') return 0;
  let totalMs = 0;
  let end = 0;
  for (const match of text.matchAll(part)) {
    totalMs += Number(match[1]) * unitMs[match[2] as string]!;
    end = match.index + match[0].length;
  }
  return end === text.length && end > 0 ? Math.ceil(totalMs) : undefined;
}

/** Writes whole milliseconds in the form that parseGoDuration reads back. */
export function formatGoDuration(durationMs: number): string {
  if (durationMs === 0) return '0s';
  const hours = Math.floor(durationMs / 3_600_000);
  const minutes = Math.floor((durationMs % 3_600_000) / 60_000);
  const seconds = Math.floor((durationMs % 60_000) / 1000);
  const ms = durationMs % 1000;
  return [
    hours > 0 ? `${hours}h` : '',
    minutes > 0 ? `${minutes}m` : '',
    seconds > 0 ? `${seconds}s` : '',
    ms > 0 ? `${ms}ms` : '',
  ].join('');
}
