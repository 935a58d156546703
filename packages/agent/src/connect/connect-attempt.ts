import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { formatTarget, type Target, type Transport } from '@fairlead/protocol';
import { dialTarget } from '../streams/dial-target.ts';
import { ConnectError, type ConnectFailure, fromDialError } from './connect-error.ts';
import type { GrpcConnection } from './connect-grpc.ts';
import type { EgressProxy } from './proxy/egress-proxy.ts';
import type { TunnelTlsOptions } from './server-connection.ts';

/** Where a server listens for agents. */
type ServerEndpoint = Target;

export interface ConnectOptions {
  /** For everything up to a transport that carries bytes. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly proxy?: EgressProxy | undefined;
  /** Needed by the gRPC transport only: the others introduce the agent later, in HELLO. */
  readonly grpcIdentity?: GrpcIdentity | undefined;
  /** A file with a bearer token for the server, read at each attempt; bare TLS has its place in HELLO. */
  readonly tokenPath?: string | undefined;
  /** What the server's certificate must be for, unless the TLS options name another; default: the endpoint's host. */
  readonly serverName?: string | undefined;
}

/** What a Konnectivity server is told with the call. */
interface GrpcIdentity {
  readonly agentId: string;
  readonly agentIdentifiers?: string | undefined;
}

/** A connection to a server: for our own protocol, or for Konnectivity's. */
export type ServerConnection = Transport | GrpcConnection;

/**
 * Connects to a server by one kind of transport.
 * @param tls the same object for the same credentials: TLS sessions are kept per object
 * @throws ConnectError, after which no socket is left behind
 */
export type Connector<C extends ServerConnection = Transport> = (
  endpoint: ServerEndpoint,
  tls: TunnelTlsOptions,
  options: ConnectOptions,
) => Promise<C>;

interface Destroyable extends EventEmitter {
  destroy(error?: Error): unknown;
}

/** One attempt to connect: knows its deadline, what it is doing, and what to clear away. */
export class ConnectAttempt {
  readonly proxy: EgressProxy | undefined;
  readonly serverName: string | undefined;
  readonly #timeoutMs: number;
  readonly #abort = new AbortController();
  readonly #owned = new Set<Destroyable>();
  #doing = 'connecting';
  #failure: ConnectFailure = 'handshake_timeout';

  private constructor({ proxy, serverName, timeoutMs }: ConnectOptions) {
    this.proxy = proxy;
    this.serverName = serverName;
    this.#timeoutMs = timeoutMs;
  }

  /** Runs the steps of an attempt within its deadline; a failure destroys what they own. */
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
    const cancelled = (): ConnectError => new ConnectError('cancelled', 'the attempt was ended');
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
      for (const resource of attempt.#owned) resource.destroy();
      throw error;
    } finally {
      clearTimeout(deadline);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Says what comes next, for the text of a timeout, and which failure a timeout then is. */
  begin(doing: string, failure: ConnectFailure = 'handshake_timeout'): void {
    this.#doing = doing;
    this.#failure = failure;
  }

  /** Takes charge of a resource until the attempt has succeeded. */
  own<T extends Destroyable>(resource: T): T {
    // A layer may still report the end of the one below when nobody waits for it any more.
    resource.on('error', () => {});
    if (this.#abort.signal.aborted) {
      resource.destroy();
      throw new ConnectError('cancelled', 'the attempt is over');
    }
    this.#owned.add(resource);
    return resource;
  }

  /** TCP to a server or a proxy. */
  async dial(endpoint: Target): Promise<Duplex> {
    const name = formatTarget(endpoint);
    this.begin(`connecting to ${name}`, 'dial_timeout');
    try {
      const { signal } = this.#abort;
      return this.own(await dialTarget(endpoint, { timeoutMs: this.#timeoutMs, signal }));
    } catch (error) {
      throw fromDialError(error, name);
    }
  }

  #expired(): ConnectError {
    return new ConnectError(
      this.#failure,
      `no answer within ${this.#timeoutMs} ms while ${this.#doing}`,
    );
  }
}
