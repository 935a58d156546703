import type { Target } from '@fairlead/protocol';
import type { Backend } from '../agents/backend.ts';
import type { Backends } from '../agents/backends.ts';
import type { BackendPool } from './backend-pool.ts';

/** Finds the pools of backends that may carry a target, the best first; none passes to the next strategy. */
type Strategy = (backends: Backends, target: Target) => Iterable<BackendPool>;

/** Strategies by their names in `--proxy-strategies`. */
const strategies = {
  /** Agents that name the target's host or address. */
  destHost: (backends, { host }) => {
    const pool = backends.forHost(host);
    return pool ? [pool] : [];
  },
  /** Agents that name a network of the target's address; the longest prefix wins. */
  destCIDR: (backends, { host }) => backends.forNetworksOf(host),
  /** Agents that say `default-route=true`. */
  defaultRoute: (backends) => [backends.withDefaultRoute()],
  /** Any agent. */
  default: (backends) => [backends.everyone()],
} as const satisfies Record<string, Strategy>;

export type StrategyName = keyof typeof strategies;

/** Who may carry a target. */
export interface RouteMatches {
  readonly strategy: StrategyName;
  /** At least one; the preferred ones first. */
  readonly backends: readonly Backend[];
}

/** Picks the agent for a target. */
export class Router {
  readonly #backends: Backends;
  readonly #names: readonly StrategyName[];
  readonly #random: () => number;

  /**
   * @param names in the order in which they are asked, at least one
   * @param random from 0 to below 1
   */
  constructor(backends: Backends, names: readonly StrategyName[], random = Math.random) {
    this.#backends = backends;
    this.#names = names;
    this.#random = random;
  }

  /** Whether the first strategy has a backend: what Konnectivity calls ready. */
  get isReady(): boolean {
    const [first] = this.#names;
    return first !== undefined && this.#backends.counts[first] > 0;
  }

  /** What `pick` looks at first, for people who wonder; in time linear in what it finds. */
  matches(target: Target): RouteMatches | undefined {
    for (const strategy of this.#names) {
      for (const pool of strategies[strategy](this.#backends, target)) {
        const backends = pool.eligible();
        if (backends.length > 0) return { strategy, backends };
      }
    }
    return undefined;
  }

  /**
   * A backend of the first strategy that has one: the less loaded of two at random, and a draining one
   * only where there is no other. Silent ones are passed over, unless nobody else is left.
   * @param exclude a backend that was tried already
   */
  pick(target: Target, exclude?: Backend): Backend | undefined {
    let silent: Backend | undefined;
    for (const name of this.#names) {
      for (const pool of strategies[name](this.#backends, target)) {
        const found = pool.pick(this.#random, exclude);
        if (found) return found;
        silent ??= pool.pickSilent(this.#random, exclude);
      }
    }
    return silent;
  }
}
