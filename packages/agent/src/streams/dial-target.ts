import { promises as dns, type LookupAddress } from 'node:dns';
import { connect, isIP, type Socket } from 'node:net';
import { formatTarget, type Target, TunnelError, toTunnelError } from '@fairlead/protocol';
import { connectError, lookupError } from './dial-errors.ts';

/** RFC 8305 section 5: how long an attempt runs alone before the next address joins in. */
const attemptDelayMs = 250;

const keepAliveDelayMs = 30_000;

/** All addresses of a name, in the order in which they should be tried. */
export type Lookup = (host: string) => Promise<readonly LookupAddress[]>;

export interface DialOptions {
  /** For everything: the look-up and all attempts. */
  readonly timeoutMs: number;
  /** Ends the dial; its reason is the error if that is a TunnelError, else `cancelled` is. */
  readonly signal?: AbortSignal | undefined;
  /** Default: getaddrinfo, which sorts by RFC 6724. */
  readonly lookup?: Lookup | undefined;
  /**
   * Asked about every address right before it is dialled, so that what was checked is what is
   * dialled. It throws to veto that address; the others are still tried.
   */
  readonly check?: ((address: string, port: number) => void) | undefined;
}

/**
 * Connects to a target over TCP, racing all addresses of a name (RFC 8305).
 *
 * Node's autoSelectFamily gives up an address after 250 ms, which loses slow good ones. Here a later
 * attempt only joins the race: the first to connect wins, the others are destroyed.
 *
 * @param target host: an IPv4 address, an IPv6 address without brackets, or a name
 * @returns a connected socket, half-close allowed, no-delay and keepalive on, nothing read yet.
 *   The caller adds its listeners in the same turn.
 * @throws TunnelError `target_refused`, `target_unreachable`, `target_reset`, `dns_failed`,
 *   `dial_timeout`, `dial_failed`, `cancelled`, or what `check` threw. No socket is left behind.
 */
export function dialTarget(target: Target, options: DialOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    new Race(target.host, target.port, options, resolve, reject).start();
  });
}

/**
 * RFC 8305 section 4: families alternate, beginning with that of the first address; within a
 * family the order stays.
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
 * Nobody listens, but the kernel gave this socket the target's own port as its source, and TCP's
 * simultaneous open joined it to itself. Go's dialer treats that as refused, too.
 */
function isSelfConnect(socket: Socket): boolean {
  return socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress;
}

class Race {
  readonly #host: string;
  readonly #port: number;
  readonly #options: DialOptions;
  readonly #resolve: (socket: Socket) => void;
  readonly #reject: (error: TunnelError) => void;
  readonly #running = new Map<Socket, string>();
  readonly #failures: TunnelError[] = [];
  /** Not tried yet; undefined until the look-up is over. */
  #waiting: LookupAddress[] | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #stagger: NodeJS.Timeout | undefined;
  #settled = false;

  constructor(
    host: string,
    port: number,
    options: DialOptions,
    resolve: (socket: Socket) => void,
    reject: (error: TunnelError) => void,
  ) {
    this.#host = host;
    this.#port = port;
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
    const family = isIP(this.#host);
    if (family !== 0) {
      this.#begin([{ address: this.#host, family }]);
      return;
    }
    const lookup = this.#options.lookup ?? systemLookup;
    lookup(this.#host).then(
      (addresses) => this.#begin(interleaveFamilies(addresses)),
      (error: Error) => this.#fail(lookupError(error, this.#host)),
    );
  }

  #begin(addresses: LookupAddress[]): void {
    if (this.#settled) return;
    if (addresses.length === 0) {
      this.#fail(new TunnelError('dns_failed', `dial tcp: lookup ${this.#host}: no such host`));
      return;
    }
    this.#waiting = addresses;
    this.#next();
  }

  /** Starts the next attempt, or ends a race that nobody can win any more. */
  readonly #next = (): void => {
    clearTimeout(this.#stagger);
    for (;;) {
      const candidate = this.#waiting?.shift();
      if (candidate === undefined) {
        if (this.#running.size === 0) this.#fail(this.#defeat());
        return;
      }
      try {
        this.#attempt(candidate.address);
      } catch (error) {
        this.#failures.push(toTunnelError(error, 'dial_failed'));
        continue;
      }
      if (this.#waiting?.length) this.#stagger = setTimeout(this.#next, attemptDelayMs);
      return;
    }
  };

  #attempt(address: string): void {
    this.#options.check?.(address, this.#port);
    const socket = connect({
      host: address,
      port: this.#port,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveDelayMs,
    });
    this.#running.set(socket, formatTarget({ host: address, port: this.#port }));
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

  /** The first failure decides the code, as it did in Go; the text names all of them. */
  #defeat(): TunnelError {
    const [first] = this.#failures;
    if (first === undefined) return new TunnelError('dial_failed');
    if (this.#failures.length === 1) return first;
    const texts = this.#failures.map(({ message }) => message);
    return new TunnelError(first.code, texts.join('; '), { cause: first });
  }

  readonly #onTimeout = (): void => {
    if (this.#waiting === undefined) {
      this.#fail(new TunnelError('dial_timeout', `dial tcp: lookup ${this.#host}: i/o timeout`));
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
    // Their error listeners stay: a destroyed socket may still report one.
    for (const loser of this.#running.keys()) loser.destroy();
    this.#running.clear();
  }
}
