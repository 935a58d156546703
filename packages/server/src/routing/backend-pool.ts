import type { AgentClaims } from '../agents/agent-identifiers.ts';
import type { Backend } from '../agents/backend.ts';

/** In the order of preference. */
const states = ['ready', 'draining', 'failing', 'silent'] as const;

export function stateOf(backend: Backend): (typeof states)[number] {
  if (backend.isSilent) return 'silent';
  if (backend.isFailing) return 'failing';
  return backend.isDraining ? 'draining' : 'ready';
}

/** A backend's membership in a pool. */
export interface PoolMember {
  readonly backend: Backend;
  readonly pool: BackendPool;
  /** Backends with an uncovered claim are picked only if the pool has none with a covered one. */
  readonly claim: keyof AgentClaims;
  /** The list that contains the member, and its index there. Only the pool changes these. */
  state: (typeof states)[number];
  index: number;
}

const backendOf = ({ backend }: PoolMember): Backend => backend;

/** Members with the same kind of claim, by state. */
type MembersByState = Readonly<Record<PoolMember['state'], PoolMember[]>>;

function noMembers(): MembersByState {
  return { ready: [], draining: [], failing: [], silent: [] };
}

function isEmpty(members: MembersByState): boolean {
  return states.every((state) => members[state].length === 0);
}

/**
 * Interchangeable backends: each can serve the same targets. Adding, removing and picking take constant time: a
 * member knows its index, and a removed member is replaced by the last one of its list.
 */
export class BackendPool {
  size = 0;
  readonly #covered = noMembers();
  /** Created when needed: with `--agent-authorization=enforce` it never is. */
  #uncovered: MembersByState | undefined;
  readonly #onEmpty: () => void;

  constructor(onEmpty: () => void = () => {}) {
    this.#onEmpty = onEmpty;
  }

  add(backend: Backend, claim: PoolMember['claim']): PoolMember {
    const member = { backend, pool: this, claim, state: stateOf(backend), index: 0 };
    this.#insert(member);
    return member;
  }

  remove(member: PoolMember): void {
    this.#take(member);
    if (this.size === 0) this.#onEmpty();
  }

  /** Moves a member after the state of its backend has changed. */
  refresh(member: PoolMember): void {
    this.#take(member);
    member.state = stateOf(member.backend);
    this.#insert(member);
  }

  /**
   * The less loaded of two backends at random; a draining or failing one only if there is no other.
   * @param exclude a backend that was already tried
   */
  pick(random: () => number, exclude?: Backend): Backend | undefined {
    const { ready, draining, failing } = this.#eligible();
    return (
      lessLoaded(ready, random, exclude) ??
      lessLoaded(draining, random, exclude) ??
      lessLoaded(failing, random, exclude)
    );
  }

  /** The same among silent backends, if there is no other at all. */
  pickSilent(random: () => number, exclude?: Backend): Backend | undefined {
    return lessLoaded(this.#eligible().silent, random, exclude);
  }

  all(): Backend[] {
    const lists = [this.#covered, this.#uncovered].flatMap((members) => members ?? []);
    return lists.flatMap((members) => states.flatMap((state) => members[state].map(backendOf)));
  }

  /** All backends among which `pick` and `pickSilent` pick, the preferred ones first, in linear time. */
  eligible(): Backend[] {
    const members = this.#eligible();
    return states.flatMap((state) => members[state].map(backendOf));
  }

  #eligible(): MembersByState {
    return this.#uncovered && isEmpty(this.#covered) ? this.#uncovered : this.#covered;
  }

  #listOf({ claim, state }: PoolMember): PoolMember[] {
    if (claim === 'covered') return this.#covered[state];
    this.#uncovered ??= noMembers();
    return this.#uncovered[state];
  }

  #insert(member: PoolMember): void {
    const list = this.#listOf(member);
    this.size++;
    member.index = list.length;
    list.push(member);
  }

  #take(member: PoolMember): void {
    const list = this.#listOf(member);
    this.size--;
    const last = list.pop()!;
    if (last === member) return;
    list[member.index] = last;
    last.index = member.index;
  }
}

/** The less loaded of two different members at random. */
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

/** A random backend other than `one` and `other`. */
function anyOther(
  members: readonly PoolMember[],
  random: () => number,
  one: Backend | undefined,
  other?: Backend,
): Backend | undefined {
  const count = members.length;
  if (count === 0) return undefined;
  let at = Math.floor(random() * count);
  // Two attempts can hit `one` and `other`, and the next neighbor can be the first of them again.
  for (let tries = 0; tries < 4; tries++) {
    const { backend } = members[at]!;
    if (backend !== one && backend !== other) return backend;
    // A random step that is not the full length; then the next neighbor.
    at = (at + (tries === 0 ? 1 + Math.floor(random() * (count - 1)) : 1)) % count;
  }
  return undefined;
}
