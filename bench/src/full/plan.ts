import { measures } from '../measures/index.ts';
import type { Measure } from '../measures/measure.ts';
import { neededForBars } from '../report/bars.ts';
import { settleMs } from '../run/measured-system.ts';
import { systems } from '../systems/index.ts';
import type { System } from '../systems/system.ts';

/** How long is counted in each round, and how long run before. */
export const planSeconds = 1;
export const planWarmupSeconds = 0.5;
const planRounds = 5;

/** Until a system is up, carries a stream and has settled, for the estimate. */
const startSeconds = 1.2 + settleMs / 1000;

/** One measure with the systems that it is run with. */
export interface Part {
  readonly measure: Measure;
  readonly systems: readonly System[];
  readonly rounds: number;
  /** About how long it takes, where all programs are there. */
  readonly estimatedSeconds: number;
}

const everyone = systems.map(({ name }) => name);
const ours = everyone.filter((name) => name.startsWith('fairlead'));
const others = everyone.filter((name) => !ours.includes(name));

/** What a measure takes part with, and how long one round takes about (seconds, all included). */
interface Shape {
  /** The beginning of the measures' names. */
  readonly measures: string;
  readonly systems: readonly string[];
  readonly roundSeconds: number;
  /** `planRounds` if left out. */
  readonly rounds?: number;
}

/**
 * Everybody where speed is compared, fewer where a measure is long or says much the same. The first
 * shape that fits counts.
 */
const shapes: readonly Shape[] = [
  { measures: 'bulk-up-10', systems: few('stunnel', 'konnectivity'), roundSeconds: 1.9 },
  { measures: 'bulk-down-10', systems: few('stunnel', 'konnectivity'), roundSeconds: 1.9 },
  { measures: 'bulk-', systems: everyone, roundSeconds: 1.9 },
  { measures: 'echo-beside-', systems: few('stunnel', 'openssh'), roundSeconds: 3.6 },
  { measures: 'echo-500', systems: few('stunnel', 'konnectivity'), roundSeconds: 1.9 },
  { measures: 'echo-50', systems: everyone, roundSeconds: 1.9 },
  { measures: 'echo-', systems: few('stunnel', 'konnectivity'), roundSeconds: 1.9 },
  { measures: 'open-200', systems: few('konnectivity'), roundSeconds: 1.9 },
  { measures: 'open-20', systems: [...others, 'fairlead'], roundSeconds: 1.9 },
  { measures: 'http-keepalive', systems: few(...konnectivities(), 'stunnel'), roundSeconds: 1.9 },
  { measures: 'open-', systems: few('konnectivity'), roundSeconds: 1.9 },
  { measures: 'http', systems: few('konnectivity'), roundSeconds: 1.9 },
  { measures: 'stalled-', systems: ['fairlead', 'konnectivity'], roundSeconds: 10 },
  // Memory varies little, and is waited for.
  { measures: 'idle-', systems: ['fairlead', 'konnectivity'], roundSeconds: 130, rounds: 3 },
  { measures: 'agents-', systems: ['fairlead'], roundSeconds: 20 },
  { measures: 'link-20ms', systems: ['direct', 'fairlead'], roundSeconds: 4.4 },
  { measures: 'link-', systems: ['direct', 'fairlead', 'konnectivity'], roundSeconds: 10.8 },
  { measures: 'slow-link-', systems: ['fairlead', 'konnectivity'], roundSeconds: 6.2 },
];

/** The whole plan, or only what the numbers to hold need. */
export function plan(which: 'everything' | 'bars'): Part[] {
  const needed = neededForBars();
  return measures
    .filter(({ name }) => which === 'everything' || needed.has(name))
    .map((measure): Part => {
      const shape = shapes.find(({ measures: begin }) => measure.name.startsWith(begin));
      if (!shape) throw new Error(`the plan says nothing of ${measure.name}`);
      const names = which === 'bars' ? [...needed.get(measure.name)!] : shape.systems;
      const { roundSeconds, rounds = planRounds } = shape;
      const taking = systems.filter(({ name }) => names.includes(name));
      return {
        measure,
        systems: taking,
        rounds,
        estimatedSeconds: taking.length * (startSeconds + rounds * roundSeconds),
      };
    });
}

/** A measure that cannot do without the yardsticks. */
function few(...names: readonly string[]): readonly string[] {
  return ['direct', 'tls-relay', 'fairlead', ...names];
}

function konnectivities(): readonly string[] {
  return everyone.filter((name) => name.startsWith('konnectivity'));
}
