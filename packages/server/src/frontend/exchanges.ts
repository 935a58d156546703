import { TunnelError, toTunnelError } from '@fairlead/protocol';
import { Exchange, type ExchangeHost, type StreamRequest } from './exchange.ts';
import type { StreamLease } from './stream-limits.ts';

/** The open exchanges of a front end, whatever protocol they came by. */
export class Exchanges {
  readonly #host: ExchangeHost;
  readonly #open = new Set<Exchange>();
  readonly #idleWaiters: (() => void)[] = [];
  #draining = false;

  constructor(host: ExchangeHost) {
    this.#host = host;
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

  #onEnd = (exchange: Exchange): void => {
    this.#open.delete(exchange);
    if (this.#open.size > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  };
}
