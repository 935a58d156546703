import { TunnelError, toTunnelError } from '@fairlead/protocol';
import { Exchange, type ExchangeHost, type StreamRequest } from './proxied-stream.ts';
import type { StreamLease } from './stream-limits.ts';

/** How often it is looked at what clients make us hold; a client sends at most so long unnoticed. */
const countEveryMs = 250;

/** The open exchanges of a front end, whatever protocol they came by. */
export class Exchanges {
  readonly #host: ExchangeHost;
  readonly #open = new Set<Exchange>();
  readonly #idleWaiters: (() => void)[] = [];
  #draining = false;
  #countTimer: NodeJS.Timeout | undefined;

  constructor(host: ExchangeHost) {
    this.#host = host;
    host.memory?.addFinder(() => this.#largest());
  }

  /** Streams that are dialling or open. */
  get activeCount(): number {
    return this.#open.size;
  }

  /** Starts a stream, or refuses it: `shutting_down`, or `limit_reached` (StreamLimits). */
  start(request: StreamRequest): void {
    if (this.#draining) {
      this.#refuse(request, new TunnelError('shutting_down', 'the server is shutting down'));
      return;
    }
    let lease: StreamLease;
    try {
      lease = this.#host.limits.admit(request.caller);
    } catch (error) {
      this.#refuse(request, toTunnelError(error));
      return;
    }
    const exchange = new Exchange(this.#host, request, lease, this.#onEnd);
    this.#open.add(exchange);
    if (this.#host.memory) this.#countTimer ??= setInterval(this.#count, countEveryMs).unref();
    exchange.start();
  }

  /** Refuses new streams from now on; resolves when the open ones have ended. */
  async drain(): Promise<void> {
    this.#draining = true;
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#idleWaiters.push(resolve);
    });
  }

  /** Resets every open stream. */
  destroyAll(error: TunnelError): void {
    this.#draining = true;
    for (const exchange of [...this.#open]) exchange.destroy(error);
  }

  #refuse(request: StreamRequest, error: TunnelError): void {
    this.#host.observer.onRefused(error.code);
    request.refuse(error);
  }

  /**
   * A client that is not listened to, since its dial or its target takes its time, may fill the window that
   * HTTP/2 gives each of its streams. Node tells nobody when; so all are looked at, now and then.
   */
  #count = (): void => {
    for (const exchange of this.#open) {
      const bytes = exchange.count();
      // The first may reset an exchange, which is counted no more.
      if (bytes > 0) this.#host.memory?.hold(bytes);
      else if (bytes < 0) this.#host.memory?.release(-bytes);
    }
  };

  #largest(): Exchange | undefined {
    let largest: Exchange | undefined;
    for (const exchange of this.#open) {
      if (exchange.heldBytes > (largest?.heldBytes ?? 0)) largest = exchange;
    }
    return largest;
  }

  #onEnd = (exchange: Exchange): void => {
    this.#open.delete(exchange);
    this.#host.memory?.release(exchange.heldBytes);
    if (this.#open.size > 0) return;
    clearInterval(this.#countTimer);
    this.#countTimer = undefined;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  };
}
