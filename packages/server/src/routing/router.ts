import type { Target } from '@fairlead/protocol';
import { claimTexts } from '../agents/agent-identifiers.ts';
import type { Backend } from '../agents/backend.ts';
import type { Backends } from '../agents/backends.ts';
import type { BackendPool } from './backend-pool.ts';

/**
 * Strategies by their names in `--proxy-strategies`. Each returns the pools of backends for a target, the best
 * first; if it returns none, the next strategy is used.
 */
const strategies = {
  /** Agents that claim the target's host or address. */
  destHost: (backends, { host }) => {
    const pool = backends.forHost(host);
    return pool ? [pool] : [];
  },
  /** Agents that claim a network of the target's address; the longest prefix wins. */
  destCIDR: (backends, { host }) => backends.forNetworksOf(host),
  /** Agents that claim `default-route=true`. */
  defaultRoute: (backends) => [backends.withDefaultRoute],
  /** Any agent. */
  default: (backends) => [backends.all],
} as const satisfies Record<string, (backends: Backends, target: Target) => Iterable<BackendPool>>;

export type StrategyName = keyof typeof strategies;

/** Picks the backend for a target. */
export class Router {
  readonly #backends: Backends;
  /** In the order of their use. */
  readonly names: readonly StrategyName[];
  readonly #random: () => number;

  /**
   * @param names in the order of their use, at least one
   * @param random from 0 to below 1
   */
  constructor(backends: Backends, names: readonly StrategyName[], random = Math.random) {
    this.#backends = backends;
    this.names = names;
    this.#random = random;
  }

  /** Whether the first strategy has a backend: what Konnectivity calls ready. */
  get isReady(): boolean {
    const [first] = this.names;
    return first !== undefined && this.#backends.counts[first] > 0;
  }

  /** All claims of all agents, in linear time: for diagnosis. */
  get claims(): string[] {
    const texts = this.#backends.all
      .all()
      .flatMap(({ claims }) => [...claimTexts(claims.covered), ...claimTexts(claims.uncovered)]);
    return [...new Set(texts)].sort();
  }

  /** The backends among which `pick` picks, the preferred ones first, in linear time: for diagnosis. */
  matches(target: Target) {
    for (const strategy of this.names) {
      for (const pool of strategies[strategy](this.#backends, target)) {
        const backends = pool.eligible();
        if (backends.length > 0) return { strategy, backends };
      }
    }
    return undefined;
  }

  /**
   * A backend of the first strategy that has one: the less loaded of two at random. A draining or failing backend is
   * picked only if its pool has no other, a silent one only if no strategy has another.
   * @param exclude a backend that was already tried
   */
  pick(target: Target, exclude?: Backend): Backend | undefined {
    let silent: Backend | undefined;
    for (const name of this.names) {
      for (const pool of strategies[name](this.#backends, target)) {
        const found = pool.pick(this.#random, exclude);
        if (found) return found;
        silent ??= pool.pickSilent(this.#random, exclude);
      }
    }
    return silent;
  }
}
