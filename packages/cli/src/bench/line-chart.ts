export interface Series {
  readonly name: string;
  readonly color: string;
  /** A y of null leaves a gap. */
  readonly points: readonly { readonly x: number; readonly y: number | null }[];
}

const width = 760;
const height = 240;
const left = 80;
const right = 16;
const top = 44;
const bottom = 30;

/** The chart as one SVG element. */
export function lineChart(chart: {
  readonly title: string;
  readonly series: readonly Series[];
  formatX(x: number): string;
  formatY(y: number): string;
  /** Positions and labels on the x axis; four even steps if left out. */
  readonly ticksX?: readonly { readonly x: number; readonly label: string }[];
}): string {
  const points = chart.series.flatMap(({ points }) => points);
  const maxX = Math.max(...points.map(({ x }) => x), Number.MIN_VALUE);
  const minX = Math.min(...points.map(({ x }) => x), 0);
  const maxY = niceCeiling(Math.max(...points.map(({ y }) => y ?? 0)));
  const toX = (x: number) => left + ((x - minX) / (maxX - minX || 1)) * (width - left - right);
  const toY = (y: number) => height - bottom - (y / maxY) * (height - top - bottom);
  const quarters = [0, 0.25, 0.5, 0.75, 1];
  const ticksX =
    chart.ticksX ??
    quarters.map((part) => {
      const x = minX + part * (maxX - minX);
      return { x, label: chart.formatX(x) };
    });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeXml(chart.title)}">`,
    text(left, 18, chart.title, 'start', true),
    legend(chart.series),
    ...quarters.map((part) => {
      const y = toY(part * maxY);
      return `<line x1="${left}" y1="${y}" x2="${width - right}" y2="${y}" class="grid"/>${text(left - 8, y + 4, chart.formatY(part * maxY), 'end')}`;
    }),
    ...ticksX.map(({ x, label }) => text(toX(x), height - 10, label, 'middle')),
    ...chart.series.map(({ points, color }) => path(points, toX, toY, color)),
    '</svg>',
  ].join('\n');
}

function path(
  points: Series['points'],
  toX: (x: number) => number,
  toY: (y: number) => number,
  color: string,
): string {
  let isGap = true;
  const commands = points.map(({ x, y }) => {
    if (y === null) {
      isGap = true;
      return '';
    }
    const command = `${isGap ? 'M' : 'L'}${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`;
    isGap = false;
    return command;
  });
  const dots = points
    .filter(({ y }) => y !== null)
    .map(({ x, y }) => `<circle cx="${toX(x).toFixed(1)}" cy="${toY(y!).toFixed(1)}" r="2"/>`);
  // A point between two gaps is visible only as a dot. Many dots would hide the line.
  const shown = dots.length <= 120 ? `<g fill="${color}">${dots.join('')}</g>` : '';
  return `<path d="${commands.join(' ')}" fill="none" stroke="${color}" stroke-width="2"/>${shown}`;
}

function legend(series: readonly Series[]): string {
  let x = left;
  return series
    .map(({ name, color }) => {
      const item = `<rect x="${x}" y="27" width="12" height="4" fill="${color}"/>${text(x + 16, 33, name, 'start')}`;
      x += 40 + name.length * 7;
      return item;
    })
    .join('');
}

function text(x: number, y: number, content: string, anchor: string, isBold = false): string {
  const weight = isBold ? ' font-weight="bold"' : '';
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}"${weight}>${escapeXml(content)}</text>`;
}

/** The next of 1, 2, 2.5 or 5 times a power of ten. */
function niceCeiling(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 2.5, 5, 10].find((step) => step * power >= value) ?? 10);
}

/** Escapes text for XML and HTML, in content and in attributes. */
export function escapeXml(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
