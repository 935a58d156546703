import { HELLO_LIMITS, type Hello, TunnelError } from '@fairlead/protocol';
import type { AgentOptions } from '../options.ts';
import type { TunnelSession } from './tunnel-session.ts';

/**
 * The tunnels whose server has sent HELLO, whichever address led to it, and what these servers say about the
 * number and the addresses of all servers.
 */
export class TunnelRegistry {
  /** Agent addresses of servers, `host:port`, as the servers wrote them. */
  peers: readonly string[] = [];
  readonly #sessions = new Set<TunnelSession>();
  readonly #countSource: AgentOptions['serverCountSource'];
  #announcedCount = 0;
  #leaseCount: number | undefined;

  constructor(countSource: AgentOptions['serverCountSource'] = 'default') {
    this.#countSource = countSource;
  }

  setLeaseCount(count: number): void {
    this.#leaseCount = count;
  }

  add(session: TunnelSession): void {
    this.#sessions.add(session);
    this.update();
  }

  delete(session: TunnelSession): void {
    this.#sessions.delete(session);
    this.update();
  }

  /** Reads what the servers say: after a changed HELLO, or when a server drains. */
  update(): void {
    const hellos = this.#active().map(({ peerHello }) => peerHello ?? {});
    // Without a tunnel, the last known values are the best guess.
    if (hellos.length === 0) return;
    this.#announcedCount = Math.max(...hellos.map(({ serverCount }) => serverCount ?? 1));
    const lists = hellos.flatMap(({ peers }) => (peers ? [peers] : []));
    if (lists.length > 0) this.peers = [...new Set(lists.flat())].slice(0, HELLO_LIMITS.peers);
  }

  /** Servers with a tunnel that does not drain; a server without an ID counts once per tunnel. */
  get connectedCount(): number {
    return new Set(this.#active().map((session) => session.peerHello?.serverId ?? session)).size;
  }

  /** How many servers exist, by their HELLOs or Leases; 0 before that is known. */
  get serverCount(): number {
    const leaseCount = this.#leaseCount ?? this.#announcedCount;
    return this.#countSource === 'max' ? Math.max(leaseCount, this.#announcedCount) : leaseCount;
  }

  /** Whether a tunnel to this server exists that does not drain, other than the given one. */
  has(serverId: string, otherThan?: TunnelSession): boolean {
    return this.#active().some(
      (session) => session !== otherThan && session.peerHello?.serverId === serverId,
    );
  }

  /**
   * The error for a second tunnel to the same server (spec 2.9). A tunnel whose server is silent does not
   * count: a new server with the same ID can have replaced that one. Therefore the servers of the other
   * tunnels are asked for a sign of life, so that the next attempt knows.
   */
  refuseDuplicate({ serverId }: Hello): TunnelError | undefined {
    if (serverId === undefined) return undefined;
    const others = this.#active().filter(({ peerHello }) => peerHello?.serverId === serverId);
    for (const session of others) session.ping();
    return others.some(({ isSilent }) => !isSilent)
      ? new TunnelError('duplicate_tunnel')
      : undefined;
  }

  #active(): TunnelSession[] {
    return [...this.#sessions].filter(({ isDraining, isClosed }) => !isDraining && !isClosed);
  }
}
