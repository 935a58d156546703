import { findPart, type Results } from '../results.ts';

/** The verdict of a run on one performance bar. */
export interface Verdict {
  readonly measure: string;
  /** For example `rate at least 1.2 × stunnel`. */
  readonly bar: string;
  /** The figure in the bar's unit. Undefined if there is none. */
  readonly found: number | undefined;
  /** `failed` if any round of Fairlead failed, whatever the figure is. */
  readonly state: 'met' | 'not met' | 'failed' | 'not measured';
}

const subject = 'fairlead';

interface Bar {
  readonly measure: string;
  /** The system to compare Fairlead with. */
  readonly versus?: string;
  readonly text: string;
  readonly limit: { readonly atLeast: number } | { readonly atMost: number };
  find(results: Results): number | undefined;
}

/** Fairlead's figure as a multiple of another system's. */
function versus(measure: string, key: string, system: string, limit: Bar['limit']): Bar {
  return {
    measure,
    versus: system,
    text: `${key} ${limitText(limit)} × ${system}`,
    limit,
    find: (results) =>
      quotient(figure(results, measure, subject, key), figure(results, measure, system, key)),
  };
}

/** Fairlead's figure alone. */
function absolute(measure: string, key: string, unit: string, limit: Bar['limit']): Bar {
  return {
    measure,
    text: `${key} ${limitText(limit)}${unit === '' ? '' : ` ${unit}`}`,
    limit,
    find: (results) => figure(results, measure, subject, key),
  };
}

const konnectivities = ['konnectivity', 'konnectivity-grpc'];
const directions = ['up', 'down'];
const ends = ['server', 'agent'];

/** The performance bars. docs/performance.md explains them. */
const bars: readonly Bar[] = [
  ...directions.map((way) => versus(`bulk-${way}-1`, 'rate', 'tls-relay', { atLeast: 0.95 })),
  ...directions.map((way) => versus(`bulk-${way}-100`, 'rate', 'stunnel', { atLeast: 1.2 })),
  versus('echo-50', 'rate', 'stunnel', { atLeast: 1.5 }),
  versus('echo-50', 'p99', 'stunnel', { atMost: 1 }),
  versus('open-20', 'rate', 'tls-relay', { atLeast: 10 }),
  ...directions.map((way) => absolute(`echo-beside-bulk-${way}`, 'ratio', '', { atMost: 5 })),
  ...directions.map((way) =>
    absolute(`slow-link-echo-${way}`, 'p99', 'µs (round trip + 100 ms)', { atMost: 150_000 }),
  ),
  ...directions.map((way) => versus('link-100ms', way, 'direct', { atLeast: 0.8 })),
  absolute('stalled-reader', 'bulk-ratio', '', { atLeast: 0.95 }),
  absolute('stalled-reader', 'echo-ratio', '', { atLeast: 0.95 }),
  absolute('stalled-reader', 'p99-ratio', '', { atMost: 1.2 }),
  ...ends.map((end) => absolute('idle-streams', `${end}-open`, 'KiB', { atMost: 16 })),
  ...ends.map((end) => absolute('idle-streams', `${end}-closed`, 'KiB', { atMost: 1 })),
  ...konnectivities.flatMap((peer) => [
    ...directions.flatMap((way) => [
      versus(`bulk-${way}-1`, 'rate', peer, { atLeast: 3 }),
      versus(`bulk-${way}-1`, 'tunnel-cpu', peer, { atMost: 1 }),
    ]),
    versus('http-keepalive', 'rate', peer, { atLeast: 1.5 }),
  ]),
  ...[10, 100].flatMap((streams) =>
    directions.map((way) =>
      versus(`bulk-${way}-${streams}`, 'rate', 'konnectivity', { atLeast: 3 }),
    ),
  ),
  ...['http-close', 'https-keepalive', 'https-close'].map((requests) =>
    versus(requests, 'rate', 'konnectivity', { atLeast: 1.5 }),
  ),
];

/** The measures that the bars need, each with its systems. */
export function neededForBars(): ReadonlyMap<string, ReadonlySet<string>> {
  const needed = new Map<string, Set<string>>();
  for (const { measure, versus: other } of bars) {
    const systems = needed.get(measure) ?? new Set([subject]);
    if (other !== undefined) systems.add(other);
    needed.set(measure, systems);
  }
  return needed;
}

/** The verdicts on all bars. */
export function judge(results: Results): Verdict[] {
  return bars.map((bar) => {
    const found = bar.find(results);
    return { measure: bar.measure, bar: bar.text, found, state: stateOf(bar, found, results) };
  });
}

/** The median of a column, or of `tunnel-cpu`: the CPU time of server and agent together. */
function figure(
  results: Results,
  measure: string,
  system: string,
  key: string,
): number | undefined {
  const medians = findPart(results, measure, system)?.medians;
  if (key !== 'tunnel-cpu') return medians?.[key];
  const [server, agent] = [medians?.['server-cpu'], medians?.['agent-cpu']];
  return server === undefined || agent === undefined ? undefined : server + agent;
}

function quotient(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b;
}

function stateOf(
  { measure, limit }: Bar,
  found: number | undefined,
  results: Results,
): Verdict['state'] {
  const ours = findPart(results, measure, subject);
  if (ours && ours.failures.length > 0) return 'failed';
  if (found === undefined) return 'not measured';
  const isMet = 'atLeast' in limit ? found >= limit.atLeast : found <= limit.atMost;
  return isMet ? 'met' : 'not met';
}

function limitText(limit: Bar['limit']): string {
  return 'atLeast' in limit
    ? `at least ${limit.atLeast.toLocaleString('en')}`
    : `at most ${limit.atMost.toLocaleString('en')}`;
}
