import type { Column } from '../measures/measure.ts';
import type { MeasureResults } from '../results.ts';

/** The columns that have a figure for any system. `failures` is omitted if all are 0. */
export function shownColumns({ columns, systems }: MeasureResults): Column[] {
  return columns.filter(({ key }) => {
    const figures = systems.map(({ medians }) => medians[key]).filter((x) => x !== undefined);
    return key === 'failures' ? figures.some((count) => count > 0) : figures.length > 0;
  });
}
