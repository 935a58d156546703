import { promises as dns, type LookupAddress } from 'node:dns';
import { connect, isIP, type Socket } from 'node:net';
import { formatTarget, type Target, TunnelError, toTunnelError } from '@fairlead/protocol';
import { connectError, lookupError } from './dial-errors.ts';
import type { AddressCheck } from './target-policy.ts';

/** How long an attempt runs before the next address is tried too (RFC 8305 section 5). */
const ATTEMPT_DELAY_MS = 250;

const KEEP_ALIVE_DELAY_MS = 30_000;

/** Resolves a name to all its addresses, in the order in which to try them. */
export type Lookup = (host: string) => Promise<readonly LookupAddress[]>;

export interface DialOptions {
  /** For the lookup and all attempts together. */
  readonly timeoutMs: number;
  /** Ends the dial, with its reason if that is a TunnelError, else with `cancelled`. */
  readonly signal?: AbortSignal | undefined;
  /** Default: getaddrinfo, which sorts by RFC 6724. */
  readonly lookup?: Lookup | undefined;
  /**
   * Called with each address right before it is dialed, so that the checked address is the dialed one. If it
   * throws, that address is skipped; the others are still tried.
   */
  readonly check?: AddressCheck | undefined;
}

/**
 * Connects to a target over TCP, racing all addresses of a name (RFC 8305).
 *
 * Node's autoSelectFamily abandons an address after 250 ms, and so loses slow ones. Here the earlier attempts
 * continue: the first to connect wins, the others are destroyed.
 *
 * @param target host: an IPv4 address, an IPv6 address without brackets, or a name
 * @returns a connected socket, half-close allowed, no-delay and keepalive on, nothing read yet.
 *   The caller must add its listeners in the same tick.
 * @throws TunnelError `target_refused`, `target_unreachable`, `target_reset`, `dns_failed`,
 *   `dial_timeout`, `dial_failed`, `cancelled`, or what `check` threw. No socket stays open.
 */
export function dialTarget(target: Target, options: DialOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    new Race(target, options, resolve, reject).start();
  });
}

/**
 * Alternates the address families, starting with that of the first address, and keeps the order within
 * each family (RFC 8305 section 4).
 */
export function interleaveFamilies(addresses: readonly LookupAddress[]): LookupAddress[] {
  const first = addresses.filter(({ family }) => family === addresses[0]?.family);
  const second = addresses.filter(({ family }) => family !== addresses[0]?.family);
  const mixed: LookupAddress[] = [];
  for (let index = 0; index < Math.max(first.length, second.length); index++) {
    mixed.push(...first.slice(index, index + 1), ...second.slice(index, index + 1));
  }
  return mixed;
}

/** getaddrinfo, which sorts by RFC 6724. */
export const systemLookup: Lookup = (host) => dns.lookup(host, { all: true, verbatim: true });

/**
 * Whether the socket is connected to itself: without a listener, the kernel can pick the target's port as the
 * source port, and TCP's simultaneous open succeeds. Like Go's dialer, this counts as refused.
 */
function isSelfConnect(socket: Socket): boolean {
  return socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress;
}

class Race {
  readonly #target: Target;
  readonly #options: DialOptions;
  readonly #resolve: (socket: Socket) => void;
  readonly #reject: (error: TunnelError) => void;
  readonly #running = new Map<Socket, string>();
  readonly #failures: TunnelError[] = [];
  /** The addresses that are not tried yet; undefined until the lookup has ended. */
  #waiting: LookupAddress[] | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #stagger: NodeJS.Timeout | undefined;
  #settled = false;

  constructor(
    target: Target,
    options: DialOptions,
    resolve: (socket: Socket) => void,
    reject: (error: TunnelError) => void,
  ) {
    this.#target = target;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { signal, timeoutMs } = this.#options;
    if (signal?.aborted) {
      this.#onAbort();
      return;
    }
    signal?.addEventListener('abort', this.#onAbort);
    this.#deadline = setTimeout(this.#onTimeout, timeoutMs);
    const family = isIP(this.#target.host);
    if (family !== 0) {
      this.#begin([{ address: this.#target.host, family }]);
      return;
    }
    const lookup = this.#options.lookup ?? systemLookup;
    lookup(this.#target.host).then(
      (addresses) => this.#begin(interleaveFamilies(addresses)),
      (error: Error) => this.#fail(lookupError(error, this.#target.host)),
    );
  }

  #begin(addresses: LookupAddress[]): void {
    if (this.#settled) return;
    if (addresses.length === 0) {
      this.#fail(
        new TunnelError('dns_failed', `dial tcp: lookup ${this.#target.host}: no such host`),
      );
      return;
    }
    this.#waiting = addresses;
    this.#next();
  }

  /** Starts the next attempt, or fails if no address is left. */
  readonly #next = (): void => {
    clearTimeout(this.#stagger);
    for (;;) {
      const candidate = this.#waiting?.shift();
      if (candidate === undefined) {
        if (this.#running.size === 0) this.#fail(this.#failureOfAll());
        return;
      }
      try {
        this.#attempt(candidate.address);
      } catch (error) {
        this.#failures.push(toTunnelError(error, 'dial_failed'));
        continue;
      }
      if (this.#waiting?.length) this.#stagger = setTimeout(this.#next, ATTEMPT_DELAY_MS);
      return;
    }
  };

  #attempt(address: string): void {
    this.#options.check?.(address, this.#target.port);
    const socket = connect({
      host: address,
      port: this.#target.port,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
    });
    this.#running.set(socket, formatTarget({ host: address, port: this.#target.port }));
    const onError = (error: NodeJS.ErrnoException): void => {
      const name = this.#running.get(socket) ?? address;
      this.#running.delete(socket);
      if (this.#settled) return;
      this.#failures.push(connectError(error, name));
      this.#next();
    };
    socket.once('error', onError);
    socket.once('connect', () => {
      if (isSelfConnect(socket)) {
        socket.destroy(Object.assign(new Error('self-connect'), { code: 'ECONNREFUSED' }));
        return;
      }
      socket.off('error', onError);
      this.#running.delete(socket);
      this.#settle();
      this.#resolve(socket);
    });
  }

  /** The error if all attempts failed: the code of the first failure, as in Go, and the texts of all. */
  #failureOfAll(): TunnelError {
    const [first] = this.#failures;
    if (first === undefined) return new TunnelError('dial_failed');
    if (this.#failures.length === 1) return first;
    const texts = this.#failures.map(({ message }) => message);
    return new TunnelError(first.code, texts.join('; '), { cause: first });
  }

  readonly #onTimeout = (): void => {
    if (this.#waiting === undefined) {
      this.#fail(
        new TunnelError('dial_timeout', `dial tcp: lookup ${this.#target.host}: i/o timeout`),
      );
      return;
    }
    const silent = [...this.#running.values()].map((name) => `dial tcp ${name}: i/o timeout`);
    const failed = this.#failures.map(({ message }) => message);
    this.#fail(new TunnelError('dial_timeout', [...silent, ...failed].join('; ')));
  };

  readonly #onAbort = (): void => {
    const reason: unknown = this.#options.signal?.reason;
    this.#fail(reason instanceof TunnelError ? reason : new TunnelError('cancelled'));
  };

  #fail(error: TunnelError): void {
    if (this.#settled) return;
    this.#settle();
    this.#reject(error);
  }

  #settle(): void {
    this.#settled = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.#stagger);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    // The error listeners stay: a destroyed socket can still report an error.
    for (const loser of this.#running.keys()) loser.destroy();
    this.#running.clear();
  }
}
