import { formatTarget, type Target, type TunnelError } from '@fairlead/protocol';
import type { Backoff } from '@fairlead/runtime/net';
import type { ServerConnection } from '../connect/connect-attempt.ts';
import { ConnectError } from '../connect/connect-error.ts';
import { Pause } from './pause.ts';
import { ServerTunnel, type TunnelHost } from './server-tunnel.ts';
import type { AgentTunnel } from './tunnel-session.ts';

export interface ServerLinkOptions {
  /** What is dialled. */
  readonly endpoint: Target;
  readonly host: TunnelHost;
  /** Paces attempts that fail, and the first one after a loss. */
  readonly backoff: Backoff;
  /**
   * Paces further attempts while servers are missing, for an address that may lead to several servers,
   * such as a load balancer's. Without it the link is content with one.
   */
  readonly searchBackoff?: Backoff | undefined;
  connect(endpoint: Target, signal: AbortSignal): Promise<ServerConnection>;
  onConnectFailed(error: ConnectError): void;
}

/** A tunnel that drains sooner than this is no reason to dial again at once. */
const SHORT_LIVED_MS = 1_000;

/** A server that ends a tunnel so soon with a verdict has not changed its mind: the next attempt hears it too. */
const REFUSED_WITHIN_MS = 10_000;

/** Whether the end of a tunnel is the server's verdict on this agent, which the next attempt will hear too. */
function isRefusal({ code, retryElsewhere }: TunnelError): boolean {
  return !retryElsewhere || code === 'limit_reached';
}

/**
 * Dials one address: keeps a tunnel by it, unless its server is held by another way, makes a new one as
 * soon as the old one drains, and goes on dialling while servers are missing (spec 2.10).
 */
export class ServerLink {
  readonly #options: ServerLinkOptions;
  readonly #tunnels = new Set<ServerTunnel>();
  /** Of these and of tunnels that are gone: the transports that may still have bytes to send. */
  readonly #transports = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  readonly #pause = new Pause(this.#stop.signal);
  /** The server that this address led to when the agent held it already. */
  #heldElsewhere: string | undefined;
  #lastMissing = 0;
  /** Why the last attempt failed; undefined after one that did not. */
  #lastFailure: string | undefined;

  constructor(options: ServerLinkOptions) {
    this.#options = options;
  }

  get streamCount(): number {
    let count = 0;
    for (const { session } of this.#tunnels) count += session.streamCount;
    return count;
  }

  /** Whether each tunnel may be closed. */
  get isIdle(): boolean {
    return [...this.#tunnels].every(({ session }) => session.isIdle);
  }

  /** `host:port` that is dialled. */
  get address(): string {
    return formatTarget(this.#options.endpoint);
  }

  get sessions(): AgentTunnel[] {
    return [...this.#tunnels].map(({ session }) => session);
  }

  get readyCount(): number {
    return [...this.#tunnels].filter(({ isReady }) => isReady).length;
  }

  /** Whether it makes no more tunnels and has none left. */
  get isDone(): boolean {
    return this.#stop.signal.aborted && this.#tunnels.size === 0;
  }

  /** Connects and stays connected until `stop`. */
  async run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      if (!this.#wantsTunnel()) {
        await this.#pause.untilWoken();
        continue;
      }
      await this.#pause.untilDue();
      if (!signal.aborted && this.#wantsTunnel()) await this.#attempt();
    }
  }

  /** Servers came, went, or said something new. */
  onHeldChanged(): void {
    const missing = this.#missingCount();
    if (missing > this.#lastMissing && this.#lastFailure === undefined) this.#searchSoon();
    this.#lastMissing = missing;
    this.#pause.wake();
    for (const tunnel of [...this.#tunnels]) tunnel.closeIfDone();
  }

  /** Makes no new tunnel. */
  stop(): void {
    this.#stop.abort();
  }

  /** Asks the servers to send no new streams; open ones go on. */
  drain(): void {
    this.stop();
    for (const tunnel of [...this.#tunnels]) tunnel.drain();
  }

  /** Makes no new tunnel, and ends each with its last stream. */
  retire(): void {
    this.stop();
    for (const tunnel of [...this.#tunnels]) tunnel.retire();
  }

  /** Ends all tunnels; resolves when what they had to send has left, or cannot. */
  async close(): Promise<void> {
    this.stop();
    for (const tunnel of [...this.#tunnels]) tunnel.close();
    await Promise.all(this.#transports);
  }

  #wantsTunnel(): boolean {
    const { held } = this.#options.host;
    const isServed =
      [...this.#tunnels].some(({ isReady }) => isReady) ||
      (this.#heldElsewhere !== undefined && held.holds(this.#heldElsewhere));
    return !isServed || this.#missingCount() > 0;
  }

  /** Servers that this link looks for beyond its own. */
  #missingCount(): number {
    const { host, searchBackoff } = this.#options;
    return searchBackoff ? host.held.wantedCount - host.held.count : 0;
  }

  #searchSoon(): void {
    const { searchBackoff } = this.#options;
    if (!searchBackoff) return;
    searchBackoff.reset();
    const waitMs = searchBackoff.next();
    if (performance.now() + waitMs < this.#pause.dueMs) this.#pause.dueIn(waitMs);
  }

  async #attempt(): Promise<void> {
    const { endpoint, backoff, host } = this.#options;
    const { signal } = this.#stop;
    try {
      const connection = await this.#options.connect(endpoint, signal);
      if (signal.aborted) connection.destroy();
      else await this.#useTransport(connection);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ConnectError)) throw error;
      this.#options.onConnectFailed(error);
      const { reason, message } = error;
      const fields = { server: this.address, reason, detail: message };
      // One address of several that stays dead, such as the other family's of a name, is told once.
      if (reason === this.#lastFailure && host.held.count > 0) {
        host.logger.debug(fields, 'cannot connect');
      } else {
        host.logger.warn(fields, 'cannot connect');
      }
      this.#lastFailure = reason;
      this.#pause.dueIn(backoff.next());
    }
  }

  /** Resolves when it is known whether the tunnel is of use. */
  #useTransport(connection: ServerConnection): Promise<void> {
    const { endpoint, backoff, searchBackoff, host } = this.#options;
    return new Promise((resolve) => {
      let readyAtMs: number | undefined;
      const tunnel = new ServerTunnel(connection, endpoint, host, {
        onReady: () => {
          readyAtMs = performance.now();
          this.#lastFailure = undefined;
          this.#heldElsewhere = undefined;
          backoff.reset();
          searchBackoff?.reset();
          this.#pause.dueIn((searchBackoff ?? backoff).next());
          resolve();
        },
        onDraining: () => {
          // A server that drains has others beside it, or a successor: no reason to wait.
          const isShortLived = performance.now() - (readyAtMs ?? 0) < SHORT_LIVED_MS;
          this.#pause.dueIn(isShortLived ? backoff.next() : 0);
        },
        onClose: ({ serverId, isDuplicate }, error, failure) => {
          this.#tunnels.delete(tunnel);
          if (isDuplicate) {
            this.#lastFailure = undefined;
            this.#heldElsewhere = serverId;
            backoff.reset();
            this.#pause.dueIn((searchBackoff ?? backoff).next());
          } else {
            const livedMs = performance.now() - (readyAtMs ?? 0);
            const isRefused = error && isRefusal(error) && livedMs < REFUSED_WITHIN_MS;
            if (failure) {
              this.#lastFailure = failure.reason;
              this.#options.onConnectFailed(failure);
            } else if (isRefused) {
              this.#lastFailure = error.code;
              backoff.undoReset();
              searchBackoff?.undoReset();
            }
            if (!this.#hasReady()) this.#pause.dueIn(backoff.next());
            else if (searchBackoff && (failure || isRefused)) {
              this.#pause.dueIn(searchBackoff.next());
            }
          }
          resolve();
        },
      });
      this.#tunnels.add(tunnel);
      const closed = tunnel.session.transportClosed.then(() => {
        this.#transports.delete(closed);
      });
      this.#transports.add(closed);
    });
  }

  #hasReady(): boolean {
    return [...this.#tunnels].some(({ isReady }) => isReady);
  }
}
