import type { Machine } from './machine.ts';
import type { Column, Values } from './measures/measure.ts';

/** How measures came about. */
interface RunFacts {
  /** ISO 8601. */
  readonly startedAt: string;
  readonly command: string;
  readonly seconds: number;
  readonly rounds: number;
  /** The machine's load average at the start: what others were doing. */
  readonly loadAverage: number;
}

/** Everything that was found; what `--json` writes and the report reads. */
export interface Results {
  readonly machine: Machine;
  /** One, unless results were merged. */
  readonly runs: readonly RunFacts[];
  readonly systems: readonly SystemFacts[];
  /** Peers that did not take part. */
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
  /** Why rounds failed; one each. */
  readonly failures: readonly string[];
  /** Why the system has no place in this measure. */
  readonly excluded?: string;
}

/** The median of each figure over the rounds that have it. */
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

/** A system's part in a measure; undefined where it was not asked to take part. */
export function findPart(
  results: Results,
  measure: string,
  system: string,
): SystemResults | undefined {
  return results.measures
    .find(({ name }) => name === measure)
    ?.systems.find((candidate) => candidate.system === system);
}

/** Whether any system of a measure has figures. */
export function hasFigures({ systems }: MeasureResults): boolean {
  return systems.some(({ rounds }) => rounds.length > 0);
}

/** Whether any system carried out a round of any measure. */
export function hasAny({ measures }: Results): boolean {
  return measures.some(hasFigures);
}

/** Whether every system carried out every round that it had a part in. */
export function isComplete({ measures }: Results): boolean {
  return measures.every(({ systems }) => systems.every(({ failures }) => failures.length === 0));
}
