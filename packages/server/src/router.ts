import type { Target } from '@fairlead/protocol';
import type { Backend } from './backend.ts';
import type { Backends } from './backends.ts';

/** Finds the backends that may carry a target; undefined passes to the next strategy. */
type Strategy = (backends: Backends, target: Target) => readonly Backend[] | undefined;

/** Strategies by their names in `--proxy-strategies`. */
const strategies = {
  /** Any agent. */
  default: (backends) => backends.all(),
} as const satisfies Record<string, Strategy>;

export type StrategyName = keyof typeof strategies;

export interface RouteMatches {
  readonly strategy: StrategyName;
  /** At least one. */
  readonly backends: readonly Backend[];
}

/** Picks the agent for a target. */
export class Router {
  readonly #backends: Backends;
  readonly #names: readonly StrategyName[];
  readonly #random: () => number;

  /** @param random from 0 to below 1 */
  constructor(backends: Backends, names: readonly StrategyName[], random = Math.random) {
    this.#backends = backends;
    this.#names = names;
    this.#random = random;
  }

  /**
   * The less loaded of two matching backends, picked at random; a draining one only where there is no
   * other.
   * @param exclude a backend that was tried already
   */
  pick(target: Target, exclude?: Backend): Backend | undefined {
    const found = this.matches(target, exclude)?.backends;
    if (!found) return undefined;
    const lasting = found.filter((backend) => !backend.isDraining);
    return this.#lessLoaded(lasting.length > 0 ? lasting : found);
  }

  /** What `pick` picks from: the first strategy that finds a backend, and all that it finds. */
  matches(target: Target, exclude?: Backend): RouteMatches | undefined {
    for (const name of this.#names) {
      const strategy: Strategy = strategies[name];
      const found = strategy(this.#backends, target)?.filter((each) => each !== exclude);
      if (found?.length) return { strategy: name, backends: found };
    }
    return undefined;
  }

  #lessLoaded(among: readonly Backend[]): Backend | undefined {
    const one = among[Math.floor(this.#random() * among.length)];
    const other = among[Math.floor(this.#random() * among.length)];
    return one && other && other.load < one.load ? other : one;
  }
}
