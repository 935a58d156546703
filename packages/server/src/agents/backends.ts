import { canonicalName, type IpNetwork, parseIpAddress } from '@fairlead/runtime/net';
import { BackendPool, type PoolMember } from '../routing/backend-pool.ts';
import { PrefixTable } from '../routing/prefix-table.ts';
import type { StrategyName } from '../routing/router.ts';
import type { AgentIdentifiers } from './agent-identifiers.ts';
import type { Backend } from './backend.ts';

/** How many backends each strategy can choose from. */
export type BackendCounts = Readonly<Record<StrategyName, number>>;

/** All backends, indexed by their claims, so that a dial looks only at those that match. */
export class Backends {
  readonly #entries = new Map<
    Backend,
    { readonly counted: readonly StrategyName[]; readonly members: readonly PoolMember[] }
  >();
  readonly all = new BackendPool();
  readonly withDefaultRoute = new BackendPool();
  /** By canonical host or address. */
  readonly hosts = new Map<string, BackendPool>();
  /** By agent ID, which should be unique. */
  readonly ids = new Map<string, BackendPool>();
  readonly #networks = new PrefixTable<BackendPool>();
  readonly #counts = { destHost: 0, destCIDR: 0, defaultRoute: 0, default: 0 };
  readonly #onChange: (isAdded: boolean) => void;

  /** @param onChange called after each change of the counts, with whether a backend was added */
  constructor(onChange: (isAdded: boolean) => void = () => {}) {
    this.#onChange = onChange;
  }

  get count(): number {
    return this.#entries.size;
  }

  get counts(): BackendCounts {
    return { ...this.#counts };
  }

  add(backend: Backend): void {
    this.#insert(backend);
    this.#onChange(true);
  }

  remove(backend: Backend): void {
    if (this.#take(backend)) this.#onChange(false);
  }

  /** The backend's claims have changed. */
  reindex(backend: Backend): void {
    if (!this.#take(backend)) return;
    this.#insert(backend);
    this.#onChange(false);
  }

  /** `isDraining`, `isSilent` or `isFailing` has changed. */
  refresh(backend: Backend): void {
    for (const member of this.#entries.get(backend)?.members ?? []) member.pool.refresh(member);
  }

  /** Backends that claim exactly this host or address, in any spelling. */
  forHost(host: string): BackendPool | undefined {
    return this.hosts.get(parseIpAddress(host)?.text ?? canonicalName(host));
  }

  /** Backends that claim a network of this address, the longest prefix first; none for a name. */
  forNetworksOf(host: string): Iterable<BackendPool> {
    const address = parseIpAddress(host);
    return address ? this.#networks.matches(address) : [];
  }

  #insert(backend: Backend): void {
    const { covered, uncovered } = backend.claims;
    const pools = new Set([this.all, poolIn(this.ids, backend.agentId), ...this.#poolsOf(covered)]);
    const members = [...pools].map((pool) => pool.add(backend, 'covered'));
    // A pool contains a backend once, by its better claim.
    for (const pool of this.#poolsOf(uncovered)) {
      if (!pools.has(pool)) members.push(pool.add(backend, 'uncovered'));
    }
    const counted = countersOf(covered, uncovered);
    for (const name of counted) this.#counts[name]++;
    this.#entries.set(backend, { counted, members });
  }

  /** @returns whether it was there */
  #take(backend: Backend): boolean {
    const entry = this.#entries.get(backend);
    if (!entry) return false;
    this.#entries.delete(backend);
    for (const member of entry.members) member.pool.remove(member);
    for (const name of entry.counted) this.#counts[name]--;
    return true;
  }

  #poolsOf({ hosts, addresses, cidrs, defaultRoute }: AgentIdentifiers): BackendPool[] {
    return [
      ...[...hosts, ...addresses].map((name) => poolIn(this.hosts, name)),
      ...cidrs.map((cidr) => this.#poolOfNetwork(cidr)),
      ...(defaultRoute ? [this.withDefaultRoute] : []),
    ];
  }

  #poolOfNetwork(cidr: IpNetwork): BackendPool {
    let pool = this.#networks.get(cidr);
    if (!pool) {
      pool = new BackendPool(() => this.#networks.delete(cidr));
      this.#networks.set(cidr, pool);
    }
    return pool;
  }
}

/** The pool with this name, which is removed when it is empty. */
function poolIn(pools: Map<string, BackendPool>, name: string): BackendPool {
  let pool = pools.get(name);
  if (!pool) {
    pool = new BackendPool(() => pools.delete(name));
    pools.set(name, pool);
  }
  return pool;
}

function countersOf(...claims: readonly AgentIdentifiers[]): StrategyName[] {
  const isAny = (has: (identifiers: AgentIdentifiers) => boolean) => claims.some(has);
  const names: StrategyName[] = ['default'];
  if (isAny(({ hosts, addresses }) => hosts.length + addresses.length > 0)) names.push('destHost');
  if (isAny(({ cidrs }) => cidrs.length > 0)) names.push('destCIDR');
  if (isAny(({ defaultRoute }) => defaultRoute)) names.push('defaultRoute');
  return names;
}
