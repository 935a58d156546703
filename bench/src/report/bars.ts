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

type Limit = ({ readonly atLeast: number } | { readonly atMost: number }) & {
  /** Instead of the limit, on Node 20. */
  readonly onNode20?: number;
};

interface Bar {
  readonly measure: string;
  /** Fairlead, with the front end that is measured. */
  readonly subject: string;
  /** The system to compare it with. */
  readonly versus?: string;
  readonly text: string;
  readonly limit: Limit;
  find(results: Results): number | undefined;
}

/** Fairlead's figure as a multiple of another system's. */
function versus(
  measure: string,
  key: string,
  system: string,
  limit: Limit,
  subject = 'fairlead',
): Bar {
  const name = subject === 'fairlead' ? '' : ` (${subject})`;
  return {
    measure,
    subject,
    versus: system,
    text: `${key} ${limitText(limit)} × ${system}${name}`,
    limit,
    find: (results) =>
      quotient(figure(results, measure, subject, key), figure(results, measure, system, key)),
  };
}

/** Fairlead's figure alone. */
function absolute(measure: string, key: string, unit: string, limit: Limit): Bar {
  const subject = 'fairlead';
  return {
    measure,
    subject,
    text: `${key} ${limitText(limit)}${unit === '' ? '' : ` ${unit}`}`,
    limit,
    find: (results) => figure(results, measure, subject, key),
  };
}

const directions = ['up', 'down'];
const ends = ['server', 'agent'];
/** Ours and Konnectivity, by what clients speak. */
const modes = [
  { ours: 'fairlead', theirs: 'konnectivity', bulk: 3, keepalive: 1.25 },
  { ours: 'fairlead-grpc', theirs: 'konnectivity-grpc', bulk: 2, keepalive: 1.1 },
];

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
  ...modes.flatMap(({ ours, theirs, bulk, keepalive }) => [
    ...directions.flatMap((way) => [
      versus(`bulk-${way}-1`, 'rate', theirs, { atLeast: bulk }, ours),
      versus(`bulk-${way}-1`, 'tunnel-cpu', theirs, { atMost: 1 }, ours),
    ]),
    versus('http-keepalive', 'rate', theirs, { atLeast: keepalive }, ours),
    ...['http-close-go', 'https-close'].map((requests) =>
      versus(requests, 'rate', theirs, { atLeast: 1.1 }, ours),
    ),
  ]),
  ...[10, 100].flatMap((streams) =>
    directions.map((way) =>
      versus(`bulk-${way}-${streams}`, 'rate', 'konnectivity', { atLeast: 3 }),
    ),
  ),
  versus('https-keepalive', 'rate', 'konnectivity', { atLeast: 1.5 }),
  ...['open-20-go', 'open-200-go'].flatMap((dials) => [
    ...ends.map((end) => versus(dials, `${end}-cpu`, 'floor', { atMost: 1.25 })),
    versus(dials, 'rate', 'konnectivity', { atLeast: 1.05, onNode20: 0.78 }),
    overGrpc(dials, 'rate', { atLeast: 1.2, onNode20: 1.1 }),
    overGrpc(dials, 'server-cpu', { atMost: 0.6, onNode20: 0.75 }),
  ]),
  overGrpc('open-200-reused', 'rate', { atLeast: 1.5 }),
];

function overGrpc(measure: string, key: string, limit: Limit): Bar {
  return versus(measure, key, 'konnectivity-grpc', limit, 'fairlead-grpc');
}

/** The measures that the bars need, each with its systems. */
export function neededForBars(): ReadonlyMap<string, ReadonlySet<string>> {
  const needed = new Map<string, Set<string>>();
  for (const { measure, subject, versus: other } of bars) {
    const systems = needed.get(measure) ?? new Set();
    systems.add(subject);
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
  { measure, subject, limit }: Bar,
  found: number | undefined,
  results: Results,
): Verdict['state'] {
  const ours = findPart(results, measure, subject);
  if (ours && ours.failures.length > 0) return 'failed';
  if (found === undefined) return 'not measured';
  const onNode20 = results.machine.systemsNode.startsWith('v20.') ? limit.onNode20 : undefined;
  const isMet =
    'atLeast' in limit ? found >= (onNode20 ?? limit.atLeast) : found <= (onNode20 ?? limit.atMost);
  return isMet ? 'met' : 'not met';
}

function limitText(limit: Limit): string {
  const text =
    'atLeast' in limit
      ? `at least ${limit.atLeast.toLocaleString('en')}`
      : `at most ${limit.atMost.toLocaleString('en')}`;
  return limit.onNode20 === undefined ? text : `${text} (Node 20: ${limit.onNode20})`;
}
