import type { Column } from '../measures/measure.ts';
import type { MeasureResults } from '../results.ts';
import { columnTitle, formatFigure } from './figures.ts';

/** Systems whose bars have Fairlead's color. */
const isOurs = (system: string) => system.startsWith('fairlead') || system === 'candidate';
/** This system has no tunnel and is much faster. Its bar is cut, because a common scale would flatten all others. */
const unscaled = 'direct';

const width = 760;
const labelWidth = 170;
const valueWidth = 110;
const titleHeight = 52;
const barHeight = 16;
const barGap = 3;
const groupGap = 11;
const footHeight = 14;
const barWidth = width - labelWidth - valueWidth;
/** The colors of the first and the second charted column. */
const colors = {
  ours: ['#0b6e99', '#6bb5d3'],
  others: ['#8a8f98', '#c3c7cd'],
} as const;

interface Bar {
  readonly system: string;
  readonly column: Column;
  readonly value: number;
  readonly series: number;
}

/** The chart of one measure as an SVG document. Each system has a group of horizontal bars. */
export function chart(measure: MeasureResults): string {
  const columns = measure.charted
    .map((key) => measure.columns.find((column) => column.key === key))
    .filter((column) => column !== undefined);
  const groups = measure.systems
    .map(({ system, medians }) =>
      columns.flatMap((column, series): Bar[] => {
        const value = medians[column.key];
        return value === undefined ? [] : [{ system, column, value, series }];
      }),
    )
    .filter((group) => group.length > 0);
  const scale = scaleOf(groups.flat());
  let y = titleHeight;
  const shapes: string[] = [];
  for (const group of groups) {
    shapes.push(text(labelWidth - 10, y + 12, group[0]!.system, 'end', isOurs(group[0]!.system)));
    for (const bar of group) {
      shapes.push(...drawBar(bar, y, scale));
      y += barHeight + barGap;
    }
    y += groupGap;
  }
  const height = y + footHeight;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12" role="img">`,
    `<title>${escapeXml(measure.title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(16, 22, measure.title, 'start', true),
    text(16, 40, legend(columns), 'start', false),
    ...shapes,
    '</svg>',
    '',
  ].join('\n');
}

function legend(columns: readonly Column[]): string {
  const shades = columns.length > 1 ? ['dark: ', 'light: '] : [''];
  return columns
    .map((column, i) => {
      const title = columnTitle(column, ', ');
      return `${shades[i] ?? ''}${title} (${column.better} is better)`;
    })
    .join(' · ');
}

function scaleOf(bars: readonly Bar[]): number {
  const finite = bars.filter(({ value }) => Number.isFinite(value));
  const scaled = finite.filter(({ system }) => system !== unscaled);
  return Math.max(0, ...(scaled.length > 0 ? scaled : finite).map(({ value }) => value)) || 1;
}

function drawBar({ system, value, series }: Bar, y: number, scale: number): string[] {
  const isCut = value > scale;
  const length = Math.max(1, Math.min(value / scale, 1) * barWidth);
  const color = colors[isOurs(system) ? 'ours' : 'others'][series] ?? colors.others[1];
  const shapes = [
    `<rect x="${labelWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" fill="${color}"/>`,
  ];
  if (isCut) {
    const x = labelWidth + length - 24;
    shapes.push(
      `<path d="M${x} ${y + barHeight} l8 ${-barHeight} h6 l-8 ${barHeight} z" fill="#ffffff"/>`,
    );
  }
  shapes.push(text(labelWidth + length + 6, y + 12, formatFigure(value), 'start', false));
  return shapes;
}

function text(
  x: number,
  y: number,
  content: string,
  anchor: 'start' | 'end',
  isBold: boolean,
): string {
  const weight = isBold ? ' font-weight="bold"' : '';
  return `<text x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}"${weight} fill="#24292f">${escapeXml(content)}</text>`;
}

function escapeXml(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
