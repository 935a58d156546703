import { isIP } from 'node:net';
import { formatTarget, type Target } from '@fairlead/protocol';
import { Backoff, parseHostPort } from '@fairlead/runtime/net';
import type { ServerConnection } from '../connect/connect-attempt.ts';
import type { ConnectError } from '../connect/connect-error.ts';
import type { Lookup } from '../streams/dial-target.ts';
import { NameWatch } from './name-watch.ts';
import { ServerConnector } from './server-connector.ts';
import type { TunnelContext } from './server-tunnel.ts';
import { TunnelRegistry } from './tunnel-registry.ts';

/** How much longer each pause of a search is than the one before. */
const SEARCH_FACTOR = 1.2;

export interface ServerTunnelsOptions extends Omit<TunnelContext, 'registry' | 'onChange'> {
  readonly lookup?: Lookup | undefined;
  /** Whether an HTTP proxy resolves the name. */
  isProxied(endpoint: Target): boolean;
  /** @param serverName what the certificate must be for, unless `--server-name` is set */
  connect(endpoint: Target, serverName: string, signal: AbortSignal): Promise<ServerConnection>;
}

/**
 * Keeps the agent connected to all servers: through the configured hosts, each address of hosts that are
 * names, and the peers that servers list. If several addresses lead to one server, one tunnel is kept.
 */
export class ServerTunnels {
  readonly #options: ServerTunnelsOptions;
  readonly #context: TunnelContext;
  readonly #registry: TunnelRegistry;
  readonly #names: NameWatch[] = [];
  /** For addresses of configured hosts, by `host target`. */
  readonly #configured = new Map<string, ServerConnector>();
  /** For peers, by `host:port` as the servers wrote it. */
  readonly #peers = new Map<string, ServerConnector>();
  /** Connectors that open no new tunnels and still have old ones. */
  readonly #retired = new Set<ServerConnector>();
  #isStopped = false;
  #onIdle = () => {};

  constructor(options: ServerTunnelsOptions) {
    this.#options = options;
    this.#registry = new TunnelRegistry(options.options.serverCountSource);
    const onChange = () => this.#onChange();
    this.#context = { ...options, registry: this.#registry, onChange };
  }

  /** Starts to connect; returns at once. */
  start(): void {
    const { options, logger, metrics, isProxied, lookup } = this.#options;
    for (const host of options.proxyServerHost) {
      const endpoint = { host, port: options.proxyServerPort };
      if (isIP(host) !== 0 || isProxied(endpoint)) {
        this.#addConfigured(endpoint, host);
        continue;
      }
      const name = new NameWatch({
        name: host,
        lookup,
        intervalMs: options.resolveInterval,
        retryBackoff: this.#backoff(),
        onAddresses: (addresses) => this.#onAddresses(host, addresses),
        onFailed: ({ reason, message: detail }) => {
          metrics.onConnectFailed(reason);
          logger.warn({ server: formatTarget(endpoint), reason, detail }, 'cannot connect');
        },
      });
      this.#names.push(name);
      name.start();
    }
  }

  get connectors(): ServerConnector[] {
    return [...this.#configured.values(), ...this.#peers.values(), ...this.#retired];
  }

  get readyCount(): number {
    return this.connectors.reduce((sum, { readyCount }) => sum + readyCount, 0);
  }

  /** How many servers exist, by their HELLOs or Leases. */
  get serverCount(): number {
    return this.#registry.serverCount;
  }

  get streamCount(): number {
    return this.#sessions.reduce((sum, { streamCount }) => sum + streamCount, 0);
  }

  get #sessions() {
    return this.connectors.flatMap(({ sessions }) => sessions);
  }

  setLeaseCount(count: number): void {
    this.#registry.setLeaseCount(count);
    this.#onChange();
  }

  /**
   * Asks the servers for no new streams; open ones continue.
   * @returns once no stream is open or on its way, at most `timeoutMs` later
   */
  async drain(timeoutMs: number): Promise<void> {
    this.#stop();
    for (const connector of this.connectors) connector.drain();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#onIdle = () => {
        if (!this.#sessions.every(({ isIdle }) => isIdle)) return;
        clearTimeout(timer);
        resolve();
      };
      this.#onIdle();
    });
  }

  /** Ends all tunnels. @returns once the transports have sent their last bytes, or cannot */
  async close(): Promise<void> {
    this.#stop();
    await Promise.all(this.connectors.map((connector) => connector.close()));
  }

  #stop(): void {
    this.#isStopped = true;
    for (const name of this.#names) name.close();
  }

  #onChange(): void {
    if (!this.#isStopped) this.#updatePeers();
    for (const connector of this.connectors) connector.onTunnelsChanged();
    for (const connector of this.#retired) if (connector.isDone) this.#retired.delete(connector);
    this.#onIdle();
  }

  /** The addresses of a name have changed: each can be another server's. */
  #onAddresses(name: string, addresses: readonly string[]): void {
    const { proxyServerPort: port } = this.#options.options;
    const wanted = new Map(
      addresses.map((host) => [`${name} ${formatTarget({ host, port })}`, { host, port }]),
    );
    for (const [key, connector] of this.#configured) {
      if (!key.startsWith(`${name} `) || wanted.has(key)) continue;
      // Its tunnels stay: the server can be alive although the address is gone.
      connector.stop();
      this.#retire(this.#configured, key, connector);
    }
    for (const endpoint of wanted.values()) this.#addConfigured(endpoint, name);
  }

  #addConfigured(endpoint: Target, name: string): void {
    const key = `${name} ${formatTarget(endpoint)}`;
    if (this.#isStopped || this.#configured.has(key)) return;
    const { syncInterval: minMs, syncIntervalCap: maxMs } = this.#options.options;
    const searchBackoff = new Backoff({ minMs, maxMs, factor: SEARCH_FACTOR });
    this.#configured.set(key, this.#startConnector(endpoint, name, searchBackoff));
  }

  /** Adds and removes connectors so that they match the list of peers. */
  #updatePeers(): void {
    const { logger, options } = this.#options;
    const wanted = new Set(this.#registry.peers);
    for (const [server, connector] of this.#peers) {
      if (wanted.has(server)) continue;
      logger.info({ server }, 'peer removed');
      connector.retire();
      this.#retire(this.#peers, server, connector);
    }
    const configured = new Set([...this.#configured.values()].map(({ address }) => address));
    const [name = ''] = options.proxyServerHost;
    for (const server of wanted) {
      const endpoint = parseHostPort(server);
      if (!endpoint || this.#peers.has(server) || configured.has(formatTarget(endpoint))) continue;
      logger.info({ server }, 'peer added');
      this.#peers.set(server, this.#startConnector(endpoint, name));
    }
  }

  #startConnector(endpoint: Target, serverName: string, searchBackoff?: Backoff): ServerConnector {
    const connector = new ServerConnector({
      endpoint,
      context: this.#context,
      backoff: this.#backoff(),
      searchBackoff,
      connect: (to, signal) => this.#options.connect(to, serverName, signal),
      onConnectFailed: ({ reason }: ConnectError) => {
        this.#options.metrics.onConnectFailed(reason);
        for (const name of this.#names) name.lookUpSoon();
      },
    });
    connector.start();
    return connector;
  }

  #retire(from: Map<string, ServerConnector>, key: string, connector: ServerConnector): void {
    from.delete(key);
    if (!connector.isDone) this.#retired.add(connector);
  }

  #backoff(): Backoff {
    const { reconnectMin: minMs, reconnectMax: maxMs } = this.#options.options;
    return new Backoff({ minMs, maxMs });
  }
}
