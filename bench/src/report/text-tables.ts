import type { MeasureResults, Results } from '../results.ts';
import { columnTitle, formatFigure } from './figures.ts';
import { shownColumns } from './shown-columns.ts';

/** All medians as tables for a terminal. */
export function textTables(results: Results): string {
  return results.measures.map(textTable).join('\n');
}

function textTable(measure: MeasureResults): string {
  const columns = shownColumns(measure);
  const rows = [
    ['', ...columns.map((column) => columnTitle(column, ' '))],
    ...measure.systems
      .filter(({ rounds }) => rounds.length > 0)
      .map(({ system, medians }) => [
        system,
        ...columns.map(({ key }) => formatFigure(medians[key])),
      ]),
  ];
  return `${measure.title}\n${alignColumns(rows).join('\n')}\n`;
}

/** Pads the cells of rows. The first column is left-aligned, all others are right-aligned. */
export function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  '),
  );
}
