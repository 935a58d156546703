import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { setImmediate as immediate } from 'node:timers/promises';
import { formatTarget, type Target, type Transport } from '@fairlead/protocol';
import type { AgentOptions } from '../options.ts';
import { dialTarget } from '../streams/dial-target.ts';
import { ConnectError, type ConnectFailure, fromDialError } from './connect-error.ts';
import type { GrpcConnection } from './connect-grpc.ts';
import type { EgressProxy } from './proxy/egress-proxy.ts';
import type { TunnelTlsOptions } from './server-connection.ts';

export interface ConnectOptions {
  /** For the whole attempt, until the transport carries bytes. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly proxy?: EgressProxy | undefined;
  /** For gRPC, which sends it with the call; other transports send it in HELLO. */
  readonly grpcIdentity?: Partial<Pick<AgentOptions, 'agentId' | 'agentIdentifiers'>> | undefined;
  /** A file with a bearer token for the server, read at each attempt. Bare TLS sends it in HELLO. */
  readonly tokenPath?: string | undefined;
  /** What the server's certificate must be for, unless the TLS options say it; default: the endpoint's host. */
  readonly serverName?: string | undefined;
}

/** A connection to a server: for Fairlead's protocol, or for Konnectivity's. */
export type ServerConnection = Transport | GrpcConnection;

/**
 * Connects to a server by one transport.
 * @param tls the same object for the same credentials: TLS sessions are kept per object
 * @throws ConnectError, after which no socket remains open
 */
export type Connect<C extends ServerConnection = Transport> = (
  endpoint: Target,
  tls: TunnelTlsOptions,
  options: ConnectOptions,
) => Promise<C>;

/** One attempt to connect: has a deadline, names the current step, and destroys what a failure leaves. */
export class ConnectAttempt {
  readonly options: ConnectOptions;
  readonly #abort = new AbortController();
  /** The lower layers first: a TCP socket, then the TLS socket over it. */
  readonly #owned: { destroy(): unknown }[] = [];
  #step = 'connecting';
  #failure: ConnectFailure = 'handshake_timeout';

  private constructor(options: ConnectOptions) {
    this.options = options;
  }

  /** Runs the steps of an attempt within its deadline; a failure destroys the resources they own. */
  static async run<T>(
    options: ConnectOptions,
    steps: (attempt: ConnectAttempt) => Promise<T>,
  ): Promise<T> {
    const attempt = new ConnectAttempt(options);
    const { signal, timeoutMs } = options;
    let interrupt: (error: ConnectError) => void = () => {};
    const interrupted = new Promise<never>((_, reject) => {
      interrupt = reject;
    });
    const cancelled = (): ConnectError =>
      new ConnectError('cancelled', 'the attempt was cancelled');
    const onAbort = (): void => interrupt(cancelled());
    if (signal?.aborted) throw cancelled();
    const success = steps(attempt);
    // After the first step has set its own timer, whose text is more precise.
    const deadline = setTimeout(() => interrupt(attempt.#expired()), timeoutMs);
    signal?.addEventListener('abort', onAbort);
    try {
      return await Promise.race([interrupted, success]);
    } catch (error) {
      attempt.#abort.abort();
      await attempt.#destroyOwned();
      throw error;
    } finally {
      clearTimeout(deadline);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Starts a step. @param step for the text of a timeout @param failure the reason of a timeout */
  begin(step: string, failure: ConnectFailure = 'handshake_timeout'): void {
    this.#step = step;
    this.#failure = failure;
  }

  /** Owns a resource until the attempt has succeeded. */
  own<T extends EventEmitter & { destroy(): unknown }>(resource: T): T {
    // A layer can report the end of the layer below after the attempt has ended.
    resource.on('error', () => {});
    this.#owned.push(resource);
    if (this.#abort.signal.aborted) {
      void this.#destroyOwned();
      throw new ConnectError('cancelled', 'the attempt has ended');
    }
    return resource;
  }

  /** Opens TCP to a server or a proxy. */
  async dial(endpoint: Target): Promise<Duplex> {
    const name = formatTarget(endpoint);
    this.begin(`connecting to ${name}`, 'dial_timeout');
    try {
      const { signal } = this.#abort;
      const { timeoutMs } = this.options;
      return this.own(await dialTarget(endpoint, { timeoutMs, signal }));
    } catch (error) {
      throw fromDialError(error, name);
    }
  }

  /**
   * From the top layer down, and not within a callback of a layer: a TLS socket crashes if the socket below it is
   * destroyed while it reads.
   */
  async #destroyOwned(): Promise<void> {
    await immediate();
    for (const resource of this.#owned.splice(0).reverse()) resource.destroy();
  }

  #expired(): ConnectError {
    return new ConnectError(
      this.#failure,
      `no answer within ${this.options.timeoutMs} ms while ${this.#step}`,
    );
  }
}
