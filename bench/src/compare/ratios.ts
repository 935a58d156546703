import { columnTitle, formatFigure } from '../report/figures.ts';
import { shownColumns } from '../report/shown-columns.ts';
import { alignColumns } from '../report/text-tables.ts';
import type { MeasureResults, Results, SystemResults } from '../results.ts';

/** With fewer rounds, all of them agree by chance too often. */
const minRounds = 5;
/** A smaller difference of the medians gets no verdict. */
const minDifference = 0.02;

/**
 * A table for each measure. Each row has both medians, the ratio candidate / base, the range of that ratio over the
 * rounds, and a verdict if all rounds agree.
 */
export function ratioTables(results: Results, base: string, candidate: string): string {
  const tables = results.measures.map((measure) => ratioTable(measure, base, candidate));
  const rounds = Math.max(0, ...results.runs.map((run) => run.rounds));
  const note =
    rounds < minRounds
      ? `No verdicts. They need at least ${minRounds} rounds.`
      : `All ${rounds} rounds agree in rows with a verdict. Equal code gets one by chance in 1 of ${2 ** (rounds - 1)} rows.`;
  return [...tables, `${note}\n`].join('\n');
}

function ratioTable(measure: MeasureResults, base: string, candidate: string): string {
  const before = part(measure, base);
  const after = part(measure, candidate);
  const failures = [before, after].flatMap(({ system, failures: all }) =>
    all.map((failure) => `${system} FAILED in a round: ${failure.split('\n')[0]}`),
  );
  const rows = [['', 'base', 'candidate', 'ratio', 'over rounds', '']];
  for (const column of shownColumns(measure)) {
    const { key, better } = column;
    const ratio = after.medians[key]! / before.medians[key]!;
    if (Number.isNaN(ratio)) continue;
    // If a round failed, the lists of rounds do not match.
    const ratios = failures.length === 0 ? pairedRatios(before, after, key) : [];
    const [low, high] = [Math.min(...ratios), Math.max(...ratios)];
    rows.push([
      columnTitle(column, ' '),
      formatFigure(before.medians[key]),
      formatFigure(after.medians[key]),
      ratio.toFixed(3),
      ratios.length > 0 ? `${low.toFixed(2)}..${high.toFixed(2)}` : '',
      judge(ratio, ratios, better),
    ]);
  }
  const lines = alignColumns(rows).map((line) => `  ${line}`.trimEnd());
  return [`${measure.name}: ${measure.title}`, ...failures, ...lines, ''].join('\n');
}

/** The verdict on a difference that every round shows. */
function judge(ratio: number, ratios: readonly number[], better: 'higher' | 'lower'): string {
  if (ratios.length < minRounds || Math.abs(ratio - 1) < minDifference) return '';
  const isHigher = ratios.every((one) => one > 1);
  const isLower = ratios.every((one) => one < 1);
  if (!isHigher && !isLower) return '';
  return isHigher === (better === 'higher') ? 'better' : 'worse';
}

function pairedRatios(before: SystemResults, after: SystemResults, key: string): number[] {
  return before.rounds
    .map((values, round) => after.rounds[round]![key]! / values[key]!)
    .filter((ratio) => !Number.isNaN(ratio));
}

function part({ systems, name }: MeasureResults, wanted: string): SystemResults {
  const found = systems.find(({ system }) => system === wanted);
  if (!found) throw new Error(`${name}: no results of ${wanted}`);
  return found;
}
