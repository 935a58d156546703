import { canonicalName, parseIpAddress } from '@fairlead/runtime/net';
import { BackendPool, type ClaimRank, type PoolMember } from '../routing/backend-pool.ts';
import type { Cidr } from '../routing/cidr.ts';
import { PrefixTable } from '../routing/prefix-table.ts';
import type { AgentIdentifiers } from './agent-identifiers.ts';
import type { Backend } from './backend.ts';

/** How many backends each strategy can choose from. */
export interface BackendCounts {
  readonly destHost: number;
  readonly destCIDR: number;
  readonly defaultRoute: number;
  readonly default: number;
}

interface Entry {
  /** Whose counters it is part of. */
  readonly counted: readonly (keyof BackendCounts)[];
  /** Its places in all pools. */
  readonly members: readonly PoolMember[];
}

/**
 * All backends that can be chosen, filed under what their agents serve, so that a dial looks at none
 * that does not match.
 */
export class Backends {
  readonly #entries = new Map<Backend, Entry>();
  readonly #everyone = new BackendPool();
  readonly #defaultRoute = new BackendPool();
  /** By canonical host or address. */
  readonly #hosts = new Map<string, BackendPool>();
  readonly #networks = new PrefixTable<BackendPool>();
  readonly #counts = { destHost: 0, destCIDR: 0, defaultRoute: 0, default: 0 };
  readonly #onChange: (counts: BackendCounts, hasNew: boolean) => void;

  /** @param onChange told of every change of the counts, and whether a backend came */
  constructor(onChange: (counts: BackendCounts, hasNew: boolean) => void) {
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
    this.#onChange(this.counts, true);
  }

  remove(backend: Backend): void {
    if (this.#take(backend)) this.#onChange(this.counts, false);
  }

  /** The backend's claims have changed. */
  identify(backend: Backend): void {
    if (!this.#take(backend)) return;
    this.#insert(backend);
    this.#onChange(this.counts, false);
  }

  /** The backend began to drain, fell silent, or was heard again. */
  refresh(backend: Backend): void {
    for (const member of this.#entries.get(backend)?.members ?? []) member.pool.refile(member);
  }

  everyone(): BackendPool {
    return this.#everyone;
  }

  withDefaultRoute(): BackendPool {
    return this.#defaultRoute;
  }

  /** Those that serve exactly this host or address, in whatever spelling. */
  forHost(host: string): BackendPool | undefined {
    return this.#hosts.get(parseIpAddress(host)?.text ?? canonicalName(host));
  }

  /** Those that serve a network which holds the address, the longest prefix first; none for a name. */
  forNetworksOf(host: string): Iterable<BackendPool> {
    const address = parseIpAddress(host);
    return address ? this.#networks.matches(address) : [];
  }

  #insert(backend: Backend): void {
    const { covered, uncovered } = backend.claims;
    const claimed = this.#file(backend, covered, 'covered');
    const pools = new Set(claimed.map(({ pool }) => pool));
    // A pool holds a backend once, by its better claim.
    const said = this.#file(backend, uncovered, 'uncovered', pools);
    const members = [this.#everyone.add(backend, 'covered'), ...claimed, ...said];
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

  #file(
    backend: Backend,
    identifiers: AgentIdentifiers,
    rank: ClaimRank,
    except: ReadonlySet<BackendPool> = new Set(),
  ): PoolMember[] {
    const pools: BackendPool[] = [];
    for (const host of identifiers.hosts) pools.push(this.#poolOfHost(host));
    for (const address of identifiers.addresses) pools.push(this.#poolOfHost(address));
    for (const cidr of identifiers.cidrs) pools.push(this.#poolOfNetwork(cidr));
    if (identifiers.defaultRoute) pools.push(this.#defaultRoute);
    return pools.filter((pool) => !except.has(pool)).map((pool) => pool.add(backend, rank));
  }

  #poolOfHost(name: string): BackendPool {
    let pool = this.#hosts.get(name);
    if (!pool) {
      pool = new BackendPool(() => this.#hosts.delete(name));
      this.#hosts.set(name, pool);
    }
    return pool;
  }

  #poolOfNetwork(cidr: Cidr): BackendPool {
    let pool = this.#networks.get(cidr);
    if (!pool) {
      pool = new BackendPool(() => this.#networks.delete(cidr));
      this.#networks.set(cidr, pool);
    }
    return pool;
  }
}

function countersOf(...claims: readonly AgentIdentifiers[]): (keyof BackendCounts)[] {
  const isAny = (has: (identifiers: AgentIdentifiers) => boolean) => claims.some(has);
  const names: (keyof BackendCounts)[] = ['default'];
  if (isAny(({ hosts, addresses }) => hosts.length + addresses.length > 0)) names.push('destHost');
  if (isAny(({ cidrs }) => cidrs.length > 0)) names.push('destCIDR');
  if (isAny(({ defaultRoute }) => defaultRoute)) names.push('defaultRoute');
  return names;
}
