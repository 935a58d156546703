import { type MeasureResults, measures, medians, type Results } from '@fairlead/bench/internal';

type Rounds = readonly Readonly<Record<string, number>>[];

/** One measure of the bench with these rounds of each system. A system without rounds has failed. */
export function cannedMeasure(
  name: string,
  parts: Readonly<Record<string, Rounds>>,
): MeasureResults {
  const measure = measures.find((candidate) => candidate.name === name);
  if (!measure) throw new Error(`there is no measure ${name}`);
  const { title, about, columns, charted } = measure;
  const systems = Object.entries(parts).map(([system, rounds]) => ({
    system,
    rounds,
    medians: medians(rounds),
    failures: rounds.length === 0 ? ['it broke\nin the second line'] : [],
  }));
  return { name, title, about, columns, charted, systems };
}

/** The results of one run. */
export function cannedResults(measured: readonly MeasureResults[], startedAt: string): Results {
  return {
    machine: {
      cpu: 'Abacus',
      cores: 2,
      memoryGiB: 4,
      system: 'Linux 6',
      node: 'v20.0.0',
      systemsNode: 'v20.0.0',
    },
    runs: [{ startedAt, command: 'npm run bench:full', seconds: 1, rounds: 5, loadAverage: 0.1 }],
    systems: [
      { name: 'fairlead', about: 'ours', version: 'v20.0.0' },
      { name: 'tls-relay', about: 'the yardstick' },
    ],
    missing: [{ name: 'frp', reason: 'bench/peers/build-go-peers.sh frp' }],
    measures: measured,
  };
}

/** Rounds that have a rate and no other figure. */
export function rates(...values: readonly number[]): Rounds {
  return values.map((rate) => ({ rate }));
}
