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
  // As Kubernetes writes them.
  ['ki', 2 ** 10],
  ['mi', 2 ** 20],
  ['gi', 2 ** 30],
]);

const size = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i;

/** @returns bytes; undefined if the text is not a size, or not a whole number of bytes */
export function parseByteSize(text: string): number | undefined {
  const match = size.exec(text);
  const unit = match && unitBytes.get(match[2]!.toLowerCase());
  if (!unit) return undefined;
  const bytes = Number(match[1]) * unit;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Writes bytes in the largest binary unit that keeps them whole; parseByteSize reads it back. */
export function formatByteSize(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB']) {
    const perUnit = unitBytes.get(unit.toLowerCase())!;
    if (bytes >= perUnit && bytes % perUnit === 0) return `${bytes / perUnit}${unit}`;
  }
  return `${bytes}`;
}
