import { measures } from '../measures/index.ts';
import { type Measure, settleMsOf } from '../measures/measure.ts';
import { neededForBars } from '../report/bars.ts';
import { systems } from '../systems/index.ts';
import { pairings } from '../systems/pairings.ts';
import type { System } from '../systems/system.ts';

/** Each round runs for `planWarmupSeconds`, then counts for `planSeconds`. */
export const planSeconds = 1;
export const planWarmupSeconds = 0.5;
const planRounds = 5;

/** The estimated time until a system has started, without its extra warm-up. */
const startSeconds = 1.2;

/** One measure and its systems. */
export interface Part {
  readonly measure: Measure;
  readonly systems: readonly System[];
  readonly rounds: number;
  /** The estimate if all programs are installed. */
  readonly estimatedSeconds: number;
}

const allNames = systems.map(({ name }) => name);
const ours = allNames.filter((name) => name.startsWith('fairlead'));
const others = allNames.filter((name) => !ours.includes(name) && !name.startsWith('floor'));
/** The systems of short connections, by front end. */
const connect = ['fairlead', 'konnectivity'];
const grpc = ['fairlead-grpc', 'konnectivity-grpc'];
const floors = ['floor', 'floor-grpc'];

const both = ['konnectivity', 'fairlead-grpc', 'konnectivity-grpc'];

/** The systems of some measures, and the estimated time of one round. */
interface Shape {
  /** A prefix of the measures' names. */
  readonly measures: string;
  readonly systems: readonly string[];
  readonly roundSeconds: number;
  /** The default is `planRounds`. */
  readonly rounds?: number;
}

/**
 * Measures of speed run with all systems. Measures that are long or similar to another one run with some. The first
 * shape whose prefix matches applies.
 */
const shapes: readonly Shape[] = [
  { measures: 'bulk-up-10', systems: some('stunnel', 'konnectivity'), roundSeconds: 1.9 },
  { measures: 'bulk-down-10', systems: some('stunnel', 'konnectivity'), roundSeconds: 1.9 },
  { measures: 'bulk-', systems: [...allNames, 'fairlead-grpc'], roundSeconds: 1.9 },
  { measures: 'echo-beside-', systems: some('stunnel', 'openssh'), roundSeconds: 3.6 },
  { measures: 'echo-500', systems: some('stunnel', 'konnectivity'), roundSeconds: 1.9 },
  { measures: 'echo-50', systems: [...others, ...ours], roundSeconds: 1.9 },
  { measures: 'echo-', systems: some('stunnel', 'konnectivity'), roundSeconds: 1.9 },
  { measures: 'open-200-reused', systems: grpc, roundSeconds: 1.9 },
  { measures: 'open-20-go', systems: [...connect, ...grpc, ...floors], roundSeconds: 1.9 },
  { measures: 'open-200-go', systems: [...connect, ...grpc, ...floors], roundSeconds: 1.9 },
  { measures: 'http-close-go', systems: [...connect, ...grpc], roundSeconds: 1.9 },
  { measures: 'http-keepalive-go', systems: connect, roundSeconds: 1.9 },
  { measures: 'open-200', systems: some('konnectivity'), roundSeconds: 1.9 },
  { measures: 'open-20', systems: [...others, 'fairlead'], roundSeconds: 1.9 },
  { measures: 'http-keepalive', systems: some(...both, 'stunnel'), roundSeconds: 1.9 },
  { measures: 'https-close', systems: some(...both), roundSeconds: 1.9 },
  { measures: 'open-', systems: some('konnectivity'), roundSeconds: 1.9 },
  { measures: 'http', systems: some('konnectivity'), roundSeconds: 1.9 },
  { measures: 'stalled-', systems: ['fairlead', 'konnectivity'], roundSeconds: 10 },
  // Memory varies little between rounds, and a round takes long.
  { measures: 'idle-', systems: ['fairlead', 'konnectivity'], roundSeconds: 130, rounds: 3 },
  { measures: 'agents-', systems: ['fairlead'], roundSeconds: 20 },
  { measures: 'link-20ms', systems: ['direct', 'fairlead'], roundSeconds: 4.4 },
  { measures: 'link-', systems: ['direct', 'fairlead', 'konnectivity'], roundSeconds: 10.8 },
  { measures: 'slow-link-', systems: ['fairlead', 'konnectivity'], roundSeconds: 6.2 },
];

/** All measures, or only the measures and systems that the performance bars need. */
export function plan(which: 'everything' | 'bars'): Part[] {
  const needed = neededForBars();
  return measures
    .filter(({ name }) => which === 'everything' || needed.has(name))
    .map((measure): Part => {
      const shape = shapes.find(({ measures: begin }) => measure.name.startsWith(begin));
      if (!shape) throw new Error(`${measure.name}: no shape in bench/src/full/plan.ts. Add one.`);
      const names = which === 'bars' ? [...needed.get(measure.name)!] : shape.systems;
      const { roundSeconds, rounds = planRounds } = shape;
      const included = [...systems, ...pairings].filter(({ name }) => names.includes(name));
      return {
        measure,
        systems: included,
        rounds,
        estimatedSeconds:
          included.length * (startSeconds + settleMsOf(measure) / 1000 + rounds * roundSeconds),
      };
    });
}

/** The two baselines, Fairlead, and these systems. */
function some(...names: readonly string[]): readonly string[] {
  return ['direct', 'tls-relay', 'fairlead', ...names];
}
