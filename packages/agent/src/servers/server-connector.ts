import { formatTarget, type Target, type TunnelError } from '@fairlead/protocol';
import type { Backoff } from '@fairlead/runtime/net';
import type { ServerConnection } from '../connect/connect-attempt.ts';
import { ConnectError } from '../connect/connect-error.ts';
import { ServerTunnel, type TunnelContext } from './server-tunnel.ts';
import type { TunnelSession } from './tunnel-session.ts';

export interface ServerConnectorOptions {
  readonly endpoint: Target;
  readonly context: TunnelContext;
  /** Paces attempts that fail, and the first one after a tunnel is lost. */
  readonly backoff: Backoff;
  /**
   * Paces further attempts while servers are missing, for an address that can lead to several servers, such
   * as a load balancer's. Without it the connector needs one tunnel only.
   */
  readonly searchBackoff?: Backoff | undefined;
  connect(endpoint: Target, signal: AbortSignal): Promise<ServerConnection>;
  onConnectFailed(error: ConnectError): void;
}

/** If a tunnel drains sooner than this, the next attempt waits. */
const SHORT_LIVED_MS = 1_000;

/** If a server refuses the agent within this time, it will probably refuse the next attempt too. */
const REFUSED_WITHIN_MS = 10_000;

/** Whether the server ended the tunnel because of this agent, as it will after the next attempt. */
function isRefusal({ code, retryElsewhere }: TunnelError): boolean {
  return !retryElsewhere || code === 'limit_reached';
}

/**
 * Dials one address and keeps one tunnel open through it, unless another address leads to the same server.
 * It opens a new tunnel as soon as the old one drains, and further ones while servers are missing
 * (spec 2.10).
 */
export class ServerConnector {
  /** `host:port` that is dialed. */
  readonly address: string;
  readonly #options: ServerConnectorOptions;
  readonly #tunnels = new Set<ServerTunnel>();
  /** The transports of these tunnels, and of ended ones that still have bytes to send. */
  readonly #transports = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  /** When the next attempt may begin, by `performance.now()`. */
  #nextAttemptAtMs = 0;
  /** Ends the current wait of the loop, which then checks again what to do. */
  #wake = () => {};
  /** The server of this address, if another tunnel to it exists. */
  #duplicateOf: string | undefined;
  #lastMissing = 0;
  /** Why the last attempt failed; undefined after a success. */
  #lastFailure: string | undefined;

  constructor(options: ServerConnectorOptions) {
    this.#options = options;
    this.address = formatTarget(options.endpoint);
  }

  get sessions(): TunnelSession[] {
    return [...this.#tunnels].map(({ session }) => session);
  }

  get readyCount(): number {
    return [...this.#tunnels].filter(({ isReady }) => isReady).length;
  }

  /** Whether it opens no more tunnels and has none left. */
  get isDone(): boolean {
    return this.#stop.signal.aborted && this.#tunnels.size === 0;
  }

  /** Connects, and stays connected until `stop`. */
  start(): void {
    void this.#run();
  }

  /** Reacts to a change of any tunnel, or of the number of servers. */
  onTunnelsChanged(): void {
    const missing = this.#missingCount();
    if (missing > this.#lastMissing && this.#lastFailure === undefined) this.#searchSoon();
    this.#lastMissing = missing;
    this.#wake();
    for (const tunnel of [...this.#tunnels]) tunnel.closeIfUnused();
  }

  /** Opens no new tunnel. */
  stop(): void {
    this.#stop.abort();
    this.#wake();
  }

  /** Asks the servers for no new streams; open ones continue. */
  drain(): void {
    this.stop();
    for (const tunnel of [...this.#tunnels]) tunnel.drain();
  }

  /** Opens no new tunnel, and ends each tunnel with its last stream. */
  retire(): void {
    this.stop();
    for (const tunnel of [...this.#tunnels]) tunnel.retire();
  }

  /** Ends all tunnels. @returns once the transports have sent their last bytes, or cannot */
  async close(): Promise<void> {
    this.stop();
    for (const tunnel of [...this.#tunnels]) tunnel.close();
    await Promise.all(this.#transports);
  }

  /** The server has sent HELLO, is no duplicate, and has accepted the agent (spec 2.13). */
  onReady(): void {
    const { backoff, searchBackoff } = this.#options;
    this.#lastFailure = undefined;
    this.#duplicateOf = undefined;
    backoff.reset();
    searchBackoff?.reset();
    this.#waitFor((searchBackoff ?? backoff).next());
  }

  /** The server asks for no new streams, so that another tunnel is needed. */
  onDraining(tunnel: ServerTunnel): void {
    // A server that drains has others beside it, or a successor: the agent need not wait.
    this.#waitFor(tunnel.ageMs < SHORT_LIVED_MS ? this.#options.backoff.next() : 0);
  }

  /** A tunnel has ended. @param failure why the server did not accept the agent */
  onClose(tunnel: ServerTunnel, error?: TunnelError, failure?: ConnectError): void {
    const { backoff, searchBackoff } = this.#options;
    this.#tunnels.delete(tunnel);
    if (tunnel.isDuplicate) {
      this.#lastFailure = undefined;
      this.#duplicateOf = tunnel.serverId;
      backoff.reset();
      this.#waitFor((searchBackoff ?? backoff).next());
      return;
    }
    const isRefused = error && isRefusal(error) && tunnel.ageMs < REFUSED_WITHIN_MS;
    if (failure) {
      this.#lastFailure = failure.reason;
      this.#options.onConnectFailed(failure);
    } else if (isRefused) {
      this.#lastFailure = error.code;
      backoff.undoReset();
      searchBackoff?.undoReset();
    }
    if (this.readyCount === 0) this.#waitFor(backoff.next());
    else if (searchBackoff && (failure || isRefused)) this.#waitFor(searchBackoff.next());
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      // A negative timeout makes Node print a warning.
      const waitMs = this.#needsTunnel() ? this.#nextAttemptAtMs - performance.now() : Infinity;
      if (waitMs <= 0) await this.#attempt();
      else await this.#wait(waitMs);
    }
  }

  /** @param ms Infinity waits for `#wake` only, and does not keep the process alive */
  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === Infinity ? undefined : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #waitFor(ms: number): void {
    this.#nextAttemptAtMs = performance.now() + ms;
    this.#wake();
  }

  #needsTunnel(): boolean {
    const { registry } = this.#options.context;
    const isConnected =
      this.readyCount > 0 || (this.#duplicateOf !== undefined && registry.has(this.#duplicateOf));
    return !isConnected || this.#missingCount() > 0;
  }

  /** How many servers this connector searches for, beyond its own. */
  #missingCount(): number {
    const { context, searchBackoff } = this.#options;
    return searchBackoff ? context.registry.serverCount - context.registry.connectedCount : 0;
  }

  #searchSoon(): void {
    const { searchBackoff } = this.#options;
    if (!searchBackoff) return;
    searchBackoff.reset();
    const waitMs = searchBackoff.next();
    if (performance.now() + waitMs < this.#nextAttemptAtMs) this.#waitFor(waitMs);
  }

  async #attempt(): Promise<void> {
    const { endpoint, context, connect } = this.#options;
    const { signal } = this.#stop;
    try {
      const connection = await connect(endpoint, signal);
      if (signal.aborted) connection.destroy();
      else await this.#open(connection);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ConnectError)) throw error;
      this.#options.onConnectFailed(error);
      const { reason, message } = error;
      const fields = { server: this.address, reason, detail: message };
      // If one of several addresses stays dead, such as the IPv6 address of a name, one warning is enough.
      const isRepeated = reason === this.#lastFailure && context.registry.connectedCount > 0;
      context.logger[isRepeated ? 'debug' : 'warn'](fields, 'cannot connect');
      this.#lastFailure = reason;
      this.#waitFor(this.#options.backoff.next());
    }
  }

  /** @returns once the tunnel is ready, or has ended before */
  async #open(connection: ServerConnection): Promise<void> {
    const tunnel = new ServerTunnel(connection, this.address, this.#options.context, this);
    this.#tunnels.add(tunnel);
    tunnel.session.start();
    const closed = tunnel.session.transportClosed.then(() => {
      this.#transports.delete(closed);
    });
    this.#transports.add(closed);
    await tunnel.decided;
  }
}
