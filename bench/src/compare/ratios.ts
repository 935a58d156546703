import { formatFigure } from '../report/figures.ts';
import { shownColumns } from '../report/shown-columns.ts';
import type { MeasureResults, Results, SystemResults } from '../results.ts';

/** With fewer rounds, chance alone puts all of them on one side too often. */
const minRounds = 5;
/** A smaller difference of the medians is not worth a word. */
const minDifference = 0.02;

/**
 * For each figure of each measure: both medians, the ratio candidate / base, the range of that
 * ratio over the rounds, and a verdict where all rounds agree.
 */
export function ratioTables(results: Results, base: string, candidate: string): string {
  const tables = results.measures.map((measure) => ratioTable(measure, base, candidate));
  const rounds = Math.max(0, ...results.runs.map((run) => run.rounds));
  const caution =
    rounds < minRounds
      ? `No verdicts: they need at least ${minRounds} rounds.`
      : `"better" and "worse" stand where all ${rounds} rounds agree; equal code gets one by chance in 1 of ${2 ** (rounds - 1)} rows.`;
  return [...tables, `${caution}\n`].join('\n');
}

function ratioTable(measure: MeasureResults, base: string, candidate: string): string {
  const before = part(measure, base);
  const after = part(measure, candidate);
  const failures = [before, after].flatMap(({ system, failures: all }) =>
    all.map((failure) => `${system} FAILED in a round: ${failure.split('\n')[0]}`),
  );
  const rows = [['', 'base', 'candidate', 'ratio', 'over rounds', '']];
  for (const { key, title, unit, better } of shownColumns(measure)) {
    const ratio = after.medians[key]! / before.medians[key]!;
    if (Number.isNaN(ratio)) continue;
    // Rounds can be paired only while none is missing.
    const ratios = failures.length === 0 ? pairedRatios(before, after, key) : [];
    const [low, high] = [Math.min(...ratios), Math.max(...ratios)];
    rows.push([
      unit === '' ? title : `${title} ${unit}`,
      formatFigure(before.medians[key]),
      formatFigure(after.medians[key]),
      ratio.toFixed(3),
      ratios.length > 0 ? `${low.toFixed(2)}..${high.toFixed(2)}` : '',
      judge(ratio, ratios, better),
    ]);
  }
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const lines = rows.map((row) => {
    const cells = row.map((cell, i) =>
      i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!),
    );
    return `  ${cells.join('  ')}`.trimEnd();
  });
  return [`${measure.name}: ${measure.title}`, ...failures, ...lines, ''].join('\n');
}

/** Only a difference that every round shows is called one. */
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
  if (!found) throw new Error(`${name} has no results of ${wanted}`);
  return found;
}
