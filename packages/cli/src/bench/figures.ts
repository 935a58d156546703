export function formatUs(us: number | null): string {
  if (us === null || !Number.isFinite(us)) return '-';
  if (us < 1000) return `${us.toFixed(0)} µs`;
  if (us < 100_000) return `${(us / 1000).toFixed(us < 10_000 ? 2 : 1)} ms`;
  if (us < 1_000_000) return `${(us / 1000).toFixed(0)} ms`;
  return `${(us / 1_000_000).toFixed(2)} s`;
}

export function formatCount(count: number): string {
  const decimals = count !== 0 && count < 100 && !Number.isInteger(count) ? 1 : 0;
  return count.toLocaleString('en-US', { maximumFractionDigits: decimals });
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes.toFixed(0)} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value.toFixed(value < 10 ? 2 : 1)} ${units[unit]}`;
}

export function formatRatio(ratio: number): string {
  const percent = ratio * 100;
  return `${percent === 0 || percent >= 0.1 ? percent.toFixed(percent === 0 ? 0 : 1) : percent.toPrecision(1)} %`;
}

/** The name of the operations of each mode, as in "N requests/s"; empty if there are none. */
export const operationNames = {
  http: 'requests',
  https: 'requests',
  echo: 'messages',
  open: 'opens',
  upload: '',
  download: '',
} as const;
