/** Sizes in bytes: `4096`, `64KiB`, `16Mi`, `1.5GiB`, and decimal `1MB`. */

const unitBytes = new Map([
  ['', 1],
  ['b', 1],
  ['kb', 1e3],
  ['mb', 1e6],
  ['gb', 1e9],
  ['kib', 2 ** 10],
  ['mib', 2 ** 20],
  ['gib', 2 ** 30],
  // Kubernetes' way to write the same.
  ['ki', 2 ** 10],
  ['mi', 2 ** 20],
  ['gi', 2 ** 30],
]);

const size = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i;

/** @returns whole bytes; undefined if the text is no size or names a part of a byte */
export function parseByteSize(text: string): number | undefined {
  const match = size.exec(text);
  const unit = match && unitBytes.get(match[2]!.toLowerCase());
  if (!unit) return undefined;
  const bytes = Number(match[1]) * unit;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest binary way to write whole bytes that parseByteSize reads back. */
export function formatByteSize(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB']) {
    const perUnit = unitBytes.get(unit.toLowerCase())!;
    if (bytes >= perUnit && bytes % perUnit === 0) return `${bytes / perUnit}${unit}`;
  }
  return `${bytes}`;
}
