import { isIP } from 'node:net';
import type { PacketObserver } from '@fairlead/konnectivity';
import type { TunnelStream } from '@fairlead/protocol';
import { formatTarget, type MemoryBudget, type Target, type TunnelError } from '@fairlead/protocol';
import { Backoff, parseHostPort } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import type { ServerConnection } from '../connect/connect-attempt.ts';
import type { ConnectError } from '../connect/connect-error.ts';
import type { AgentOptions } from '../options.ts';
import type { Lookup } from '../streams/dial-target.ts';
import { NameWatch } from './name-watch.ts';
import { ServerLink } from './server-connector.ts';
import type { TunnelHost } from './server-tunnel.ts';
import { HeldServers } from './tunnel-registry.ts';

/** How much longer each pause of a search is than the one before. */
const SEARCH_FACTOR = 1.2;

export interface ServerLinksOptions {
  readonly options: AgentOptions;
  readonly logger: Logger;
  readonly memory: MemoryBudget;
  readonly lookup?: Lookup | undefined;
  /** Whether names are left to an HTTP proxy, which knows them better. */
  isProxied(endpoint: Target): boolean;
  /** @param serverName what the certificate must be for, unless `--server-name` says else */
  connect(endpoint: Target, serverName: string, signal: AbortSignal): Promise<ServerConnection>;
  onStream(stream: TunnelStream): void;
  /** Tunnels that said HELLO came, went or changed. */
  onChange(): void;
  onConnectFailed(error: ConnectError): void;
  /** A tunnel has ended, and not in order. */
  onLost(error: TunnelError): void;
  /** Told of the packets of gRPC calls. */
  readonly packetObserver: PacketObserver;
}

/**
 * Keeps the agent connected to all servers: by the configured hosts, by every address of those that are
 * names, and by the peers that servers tell of. Several ways may lead to one server; one tunnel is
 * enough.
 */
export class ServerLinks {
  readonly #options: ServerLinksOptions;
  readonly #host: TunnelHost;
  readonly #held: HeldServers;
  readonly #names: NameWatch[] = [];
  /** By what is dialled; those of configured hosts and those of peers. */
  readonly #configured = new Map<string, ServerLink>();
  readonly #peers = new Map<string, ServerLink>();
  /** Links that make no new tunnels and still have old ones. */
  readonly #leaving = new Set<ServerLink>();
  #isStopped = false;

  constructor(options: ServerLinksOptions) {
    this.#options = options;
    const { options: flags, logger, memory, onStream, onLost, packetObserver } = options;
    this.#held = new HeldServers(flags.serverCountSource);
    this.#host = {
      options: flags,
      logger,
      memory,
      held: this.#held,
      onStream,
      onLost,
      packetObserver,
      onChange: () => this.#onChange(),
    };
  }

  /** Starts connecting; returns at once. */
  start(): void {
    const { proxyServerHost, proxyServerPort: port, resolveInterval } = this.#options.options;
    for (const host of proxyServerHost) {
      const endpoint = { host, port };
      if (isIP(host) !== 0 || this.#options.isProxied(endpoint)) {
        this.#addConfigured(endpoint, host);
        continue;
      }
      const name = new NameWatch({
        name: host,
        lookup: this.#options.lookup,
        intervalMs: resolveInterval,
        retryBackoff: this.#backoff(),
        onAddresses: (addresses) => this.#onAddresses(host, addresses),
        onFailed: (error) => {
          this.#options.onConnectFailed(error);
          const fields = { server: formatTarget(endpoint), reason: error.reason };
          this.#options.logger.warn({ ...fields, detail: error.message }, 'cannot connect');
        },
      });
      this.#names.push(name);
      name.start();
    }
  }

  get all(): ServerLink[] {
    return [...this.#configured.values(), ...this.#peers.values(), ...this.#leaving];
  }

  /** Whether a server is connected and asks for no change. */
  get isReady(): boolean {
    return this.readyCount > 0;
  }

  /** Tunnels that are ready. */
  get readyCount(): number {
    return this.all.reduce((sum, link) => sum + link.readyCount, 0);
  }

  /** Takes notice of how many servers there are by their Leases. */
  setLeaseCount(count: number): void {
    this.#held.setLeaseCount(count);
    this.#onChange();
  }

  /** How many servers there are, as they or their Leases say. */
  get wantedCount(): number {
    return this.#held.wantedCount;
  }

  get streamCount(): number {
    return this.all.reduce((sum, link) => sum + link.streamCount, 0);
  }

  /** Whether each tunnel may be closed. */
  get isIdle(): boolean {
    return this.all.every((link) => link.isIdle);
  }

  /** Asks the servers to send no new streams; open ones go on. */
  drain(): void {
    this.#stop();
    for (const link of this.all) link.drain();
  }

  /** Ends all tunnels; resolves when what they had to send has left, or cannot. */
  async close(): Promise<void> {
    this.#stop();
    await Promise.all(this.all.map((link) => link.close()));
  }

  #stop(): void {
    this.#isStopped = true;
    for (const name of this.#names) name.close();
  }

  #onChange(): void {
    if (!this.#isStopped) this.#updatePeers();
    for (const link of this.all) link.onHeldChanged();
    for (const link of this.#leaving) if (link.isDone) this.#leaving.delete(link);
    this.#options.onChange();
  }

  /** The addresses of a name: each may be another server's. */
  #onAddresses(name: string, addresses: readonly string[]): void {
    const { proxyServerPort: port } = this.#options.options;
    const wanted = new Map(
      addresses.map((host) => [`${name} ${formatTarget({ host, port })}`, { host, port }]),
    );
    for (const [key, link] of this.#configured) {
      if (!key.startsWith(`${name} `) || wanted.has(key)) continue;
      // Its server may live on: only no new tunnel is made by an address that is gone.
      link.stop();
      this.#leave(this.#configured, key, link);
    }
    for (const endpoint of wanted.values()) this.#addConfigured(endpoint, name);
  }

  #addConfigured(endpoint: Target, name: string): void {
    const key = `${name} ${formatTarget(endpoint)}`;
    if (this.#isStopped || this.#configured.has(key)) return;
    const { syncInterval, syncIntervalCap } = this.#options.options;
    const searchBackoff = new Backoff({
      minMs: syncInterval,
      maxMs: syncIntervalCap,
      factor: SEARCH_FACTOR,
    });
    this.#configured.set(key, this.#run(endpoint, name, searchBackoff));
  }

  /** Brings the links to peers in step with what the servers say. */
  #updatePeers(): void {
    const wanted = new Set(this.#held.peers);
    for (const [text, link] of this.#peers) {
      if (wanted.has(text)) continue;
      this.#options.logger.info({ server: text }, 'peer removed');
      link.retire();
      this.#leave(this.#peers, text, link);
    }
    for (const text of wanted) {
      if (!this.#peers.has(text)) this.#addPeer(text);
    }
  }

  #addPeer(text: string): void {
    const endpoint = parseHostPort(text);
    const address = endpoint && formatTarget(endpoint);
    const isConfigured = [...this.#configured.values()].some((link) => link.address === address);
    if (!endpoint || isConfigured) return;
    this.#options.logger.info({ server: text }, 'peer added');
    const [name = ''] = this.#options.options.proxyServerHost;
    this.#peers.set(text, this.#run(endpoint, name));
  }

  #run(endpoint: Target, serverName: string, searchBackoff?: Backoff): ServerLink {
    const link = new ServerLink({
      endpoint,
      host: this.#host,
      backoff: this.#backoff(),
      searchBackoff,
      connect: (to, signal) => this.#options.connect(to, serverName, signal),
      onConnectFailed: (error) => {
        this.#options.onConnectFailed(error);
        for (const name of this.#names) name.doubt();
      },
    });
    void link.run();
    return link;
  }

  #leave(from: Map<string, ServerLink>, key: string, link: ServerLink): void {
    from.delete(key);
    if (!link.isDone) this.#leaving.add(link);
  }

  #backoff(): Backoff {
    const { reconnectMin, reconnectMax } = this.#options.options;
    return new Backoff({ minMs: reconnectMin, maxMs: reconnectMax });
  }
}
