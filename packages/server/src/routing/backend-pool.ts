import type { Backend } from '../agents/backend.ts';

/** In the order of preference. */
const standings = ['ready', 'draining', 'silent'] as const;
type Standing = (typeof standings)[number];

function standingOf(backend: Backend): Standing {
  if (backend.isSilent) return 'silent';
  return backend.isDraining ? 'draining' : 'ready';
}

/**
 * What a claim rests on: the agent's certificate, or its word alone. As long as anybody's certificate
 * covers a claim, those who merely make it are not picked.
 */
export type ClaimRank = 'covered' | 'uncovered';

/** A backend's place in a pool; whoever added it keeps it. */
export interface PoolMember {
  readonly backend: Backend;
  readonly pool: BackendPool;
  readonly rank: ClaimRank;
  /** Where it is filed; only the pool changes these. */
  standing: Standing;
  position: number;
}

type Files = Readonly<Record<Standing, PoolMember[]>>;

function isEmpty(files: Files): boolean {
  return standings.every((standing) => files[standing].length === 0);
}

/**
 * Backends that may all serve the same target. Adding, removing and picking take constant time: a
 * member knows its position, and the last one takes the place of one that goes.
 */
export class BackendPool {
  readonly #covered: Files = { ready: [], draining: [], silent: [] };
  /** Made when needed: where claims must be covered, it never is. */
  #uncovered: Files | undefined;
  readonly #onEmpty: () => void;

  constructor(onEmpty: () => void = () => {}) {
    this.#onEmpty = onEmpty;
  }

  add(backend: Backend, rank: ClaimRank): PoolMember {
    const member = { backend, pool: this, rank, standing: standingOf(backend), position: 0 };
    this.#file(member);
    return member;
  }

  remove(member: PoolMember): void {
    this.#unfile(member);
    if (isEmpty(this.#covered) && (!this.#uncovered || isEmpty(this.#uncovered))) this.#onEmpty();
  }

  /** Files a member anew after its backend began to drain, fell silent or was heard again. */
  refile(member: PoolMember): void {
    this.#unfile(member);
    member.standing = standingOf(member.backend);
    this.#file(member);
  }

  /**
   * The less loaded of two backends at random; one that drains only where there is no other.
   * @param exclude a backend that was tried already
   */
  pick(random: () => number, exclude?: Backend): Backend | undefined {
    const { ready, draining } = this.#eligible();
    return lessLoaded(ready, random, exclude) ?? lessLoaded(draining, random, exclude);
  }

  /** The same among those that are not heard of, for when there is nobody else at all. */
  pickSilent(random: () => number, exclude?: Backend): Backend | undefined {
    return lessLoaded(this.#eligible().silent, random, exclude);
  }

  /** All that `pick` and `pickSilent` pick from, the preferred ones first; for people, in linear time. */
  eligible(): Backend[] {
    const files = this.#eligible();
    return standings.flatMap((standing) => files[standing].map(({ backend }) => backend));
  }

  #eligible(): Files {
    return this.#uncovered && isEmpty(this.#covered) ? this.#uncovered : this.#covered;
  }

  #filesOf({ rank }: PoolMember): Files {
    if (rank === 'covered') return this.#covered;
    this.#uncovered ??= { ready: [], draining: [], silent: [] };
    return this.#uncovered;
  }

  #file(member: PoolMember): void {
    const members = this.#filesOf(member)[member.standing];
    member.position = members.length;
    members.push(member);
  }

  #unfile(member: PoolMember): void {
    const members = this.#filesOf(member)[member.standing];
    const last = members.pop()!;
    if (last === member) return;
    members[member.position] = last;
    last.position = member.position;
  }
}

/** Two different members at random, and of them the one with less to do. */
function lessLoaded(
  members: readonly PoolMember[],
  random: () => number,
  exclude: Backend | undefined,
): Backend | undefined {
  const one = anyOther(members, random, exclude);
  if (!one) return undefined;
  const other = anyOther(members, random, exclude, one);
  return other && other.load < one.load ? other : one;
}

/** A backend at random that is neither of two. A pool holds a backend once, so three tries do. */
function anyOther(
  members: readonly PoolMember[],
  random: () => number,
  one: Backend | undefined,
  other?: Backend,
): Backend | undefined {
  const count = members.length;
  let at = Math.floor(random() * count);
  for (let tries = 0; tries < Math.min(3, count); tries++) {
    const { backend } = members[at]!;
    if (backend !== one && backend !== other) return backend;
    // A jump of any length but a whole turn; after it, the neighbour must do.
    at = (at + (tries === 0 ? 1 + Math.floor(random() * (count - 1)) : 1)) % count;
  }
  return undefined;
}
