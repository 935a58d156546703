import type { Machine } from './machine.ts';
import type { Column, Values } from './measures/measure.ts';

/** One run of the bench. */
interface RunFacts {
  /** In ISO 8601. */
  readonly startedAt: string;
  readonly command: string;
  readonly seconds: number;
  readonly rounds: number;
  /** The machine's load average before the run. */
  readonly loadAverage: number;
}

/** All results. `--json` writes them, and the report reads them. */
export interface Results {
  readonly machine: Machine;
  /** One run, unless results were merged. */
  readonly runs: readonly RunFacts[];
  readonly systems: readonly SystemFacts[];
  /** Systems that are not installed. `reason` is the command that installs them. */
  readonly missing: readonly { readonly name: string; readonly reason: string }[];
  readonly measures: readonly MeasureResults[];
}

export interface SystemFacts {
  readonly name: string;
  readonly about: string;
  readonly version?: string;
}

export interface MeasureResults {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly columns: readonly Column[];
  readonly charted: readonly string[];
  readonly systems: readonly SystemResults[];
}

export interface SystemResults {
  readonly system: string;
  readonly rounds: readonly Values[];
  /** Medians over the rounds. */
  readonly medians: Values;
  /** One error for each failed round. */
  readonly failures: readonly string[];
  /** The reason why the measure omits this system. */
  readonly excluded?: string;
}

/** The median of each figure, over the rounds that have it. */
export function medians(rounds: readonly Values[]): Values {
  const keys = new Set(rounds.flatMap((values) => Object.keys(values)));
  return Object.fromEntries([...keys].map((key) => [key, median(figures(rounds, key))]));
}

function figures(rounds: readonly Values[], key: string): number[] {
  return rounds.map((values) => values[key]).filter((value) => value !== undefined);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The results of a system in a measure. Undefined if the measure did not run with it. */
export function findPart(
  results: Results,
  measure: string,
  system: string,
): SystemResults | undefined {
  return results.measures
    .find(({ name }) => name === measure)
    ?.systems.find((candidate) => candidate.system === system);
}

/** Whether any system has figures. */
export function hasFigures({ systems }: MeasureResults): boolean {
  return systems.some(({ rounds }) => rounds.length > 0);
}

/** Whether any round of any measure succeeded. */
export function hasAny({ measures }: Results): boolean {
  return measures.some(hasFigures);
}

/** Whether no round of any measure failed. */
export function isComplete({ measures }: Results): boolean {
  return measures.every(({ systems }) => systems.every(({ failures }) => failures.length === 0));
}
