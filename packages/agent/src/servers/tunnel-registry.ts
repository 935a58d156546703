import { type Hello, TunnelError } from '@fairlead/protocol';
import type { AgentTunnel } from './tunnel-session.ts';

/** The most peers that are dialled, whatever servers say (spec 2.11). */
const MAX_PEERS = 64;

/** `--server-count-source`: whether Leases, where they are counted, say it alone. */
export type ServerCountSource = 'default' | 'max';

/** A tunnel to a server that has introduced itself. */
export interface HeldTunnel {
  readonly session: AgentTunnel;
}

/**
 * The servers that the agent holds tunnels to, whichever way each was reached, and what they say about
 * how many and where they all are.
 */
export class HeldServers {
  readonly #tunnels = new Set<HeldTunnel>();
  readonly #countSource: ServerCountSource;
  #peers: readonly string[] = [];
  #toldCount = 0;
  #leaseCount: number | undefined;

  constructor(countSource: ServerCountSource = 'default') {
    this.#countSource = countSource;
  }

  /** Takes notice of how many servers there are by their Leases. */
  setLeaseCount(count: number): void {
    this.#leaseCount = count;
  }

  add(tunnel: HeldTunnel): void {
    this.#tunnels.add(tunnel);
    this.update();
  }

  delete(tunnel: HeldTunnel): void {
    this.#tunnels.delete(tunnel);
    this.update();
  }

  /** Takes notice of a changed HELLO or of a server that drains. */
  update(): void {
    const hellos = this.#lasting().map(({ session }) => session.peerHello ?? {});
    // While nobody is there to ask, what was last known is the best guess.
    if (hellos.length === 0) return;
    this.#toldCount = Math.max(...hellos.map(({ serverCount }) => serverCount ?? 1));
    const lists = hellos.flatMap(({ peers }) => (peers ? [peers] : []));
    if (lists.length > 0) this.#peers = [...new Set(lists.flat())].slice(0, MAX_PEERS);
  }

  /** Different servers with a tunnel that does not drain; one without an ID counts as one of its own. */
  get count(): number {
    return new Set(this.#lasting().map(({ session }) => session.peerHello?.serverId ?? session))
      .size;
  }

  /** How many servers there are, as they or their Leases say; 0 before anybody said so. */
  get wantedCount(): number {
    const leaseCount = this.#leaseCount ?? this.#toldCount;
    return this.#countSource === 'max' ? Math.max(leaseCount, this.#toldCount) : leaseCount;
  }

  /** Agent addresses of servers, `host:port`, as the servers wrote them. */
  get peers(): readonly string[] {
    return this.#peers;
  }

  /** Whether there is a tunnel to this server that does not drain, other than the given one. */
  holds(serverId: string, otherThan?: HeldTunnel): boolean {
    return this.#lasting().some(
      (tunnel) => tunnel !== otherThan && tunnel.session.peerHello?.serverId === serverId,
    );
  }

  /**
   * Why a server that introduces itself gets no tunnel (spec 2.9). A tunnel whose server is silent is no
   * reason: that server may have been replaced by one of the same ID. So the others are asked for a
   * sign of life, and the next attempt will know.
   */
  refusalOf({ serverId }: Hello): TunnelError | undefined {
    const twins = this.#lasting().filter(
      ({ session }) => serverId !== undefined && session.peerHello?.serverId === serverId,
    );
    for (const { session } of twins) session.askForLife();
    return twins.some(({ session }) => !session.isSilent)
      ? new TunnelError('duplicate_tunnel')
      : undefined;
  }

  #lasting(): HeldTunnel[] {
    return [...this.#tunnels].filter(({ session }) => !session.isDraining && !session.isClosed);
  }
}
