import { promises as dns, type LookupAddress } from 'node:dns';
import { connect, isIP, type Socket } from 'node:net';
import {
  type Deadlines,
  formatTarget,
  type Target,
  TunnelError,
  toTunnelError,
} from '@fairlead/protocol';
import { connectError, lookupError } from './dial-errors.ts';
import type { AddressCheck } from './target-policy.ts';

/** How long an attempt runs before the next address is tried too (RFC 8305 section 5). */
const ATTEMPT_DELAY_MS = 250;

const KEEP_ALIVE_DELAY_MS = 30_000;

/**
 * Resolves a name to all its addresses, in the order in which to try them.
 * @param signal the result is no longer wanted, and may never settle
 */
export type Lookup = (host: string, signal?: AbortSignal) => Promise<readonly LookupAddress[]>;

export interface TargetDialOptions {
  /** Default: getaddrinfo, which sorts by RFC 6724. */
  readonly lookup?: Lookup | undefined;
  /**
   * Called with each address right before it is dialed, so that the checked address is the dialed one. If it
   * throws, that address is skipped; the others are still tried.
   */
  readonly check?: AddressCheck | undefined;
}

export interface DialOptions extends TargetDialOptions {
  /** For the lookup and all attempts together. */
  readonly timeoutMs: number;
  /** Ends the dial, with its reason if that is a TunnelError, else with `cancelled`. */
  readonly signal?: AbortSignal | undefined;
}

/** A `TargetDial` as a promise, with a timer of its own. @throws TunnelError, see `TargetDial` */
export async function dialTarget(target: Target, options: DialOptions): Promise<Socket> {
  const { timeoutMs, signal } = options;
  const { promise, dial } = promiseDial(target, options);
  const onAbort = () => {
    const reason: unknown = signal?.reason;
    dial.cancel(reason instanceof TunnelError ? reason : new TunnelError('cancelled'));
  };
  const timer = setTimeout(() => dial.onTimeout(), timeoutMs);
  signal?.addEventListener('abort', onAbort);
  if (signal?.aborted) onAbort();
  else dial.start();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
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

/** Receives the result of a dial. */
export interface TargetDialHandler {
  /**
   * The socket is connected: half-close allowed, no-delay and keepalive on, nothing read yet. It must get its listeners
   * within the call.
   */
  onConnected(socket: Socket): void;
  /** No socket stays open. */
  onFailed(error: TunnelError): void;
}

const kAttempt = Symbol('attempt');
type AttemptSocket = Socket & { [kAttempt]?: TargetDial | undefined };

/**
 * Connects to a target over TCP, racing all addresses of a name (RFC 8305).
 *
 * Node's autoSelectFamily abandons an address after 250 ms, and so loses slow ones. Here the earlier attempts
 * continue: the first to connect wins, the others are destroyed.
 *
 * Fails with `target_refused`, `target_unreachable`, `target_reset`, `dns_failed`, `dial_timeout`, `dial_failed`,
 * `agent_failed`, the error of `cancel`, or what `check` threw.
 */
export class TargetDial {
  readonly #target: Target;
  readonly #options: TargetDialOptions;
  readonly #handler: TargetDialHandler;
  readonly #deadlines: Deadlines<TargetDial> | undefined;
  /** The attempts that run, with their addresses. */
  readonly #running = new Map<Socket, string>();
  #failures: TunnelError[] | undefined;
  /** The addresses that are not tried yet; undefined until the lookup has ended. */
  #waiting: LookupAddress[] | undefined;
  #stagger: NodeJS.Timeout | undefined;
  /** Only while a name is looked up. */
  #lookupAbort: AbortController | undefined;
  #hasEnded = false;

  /**
   * @param target host: an IPv4 address, an IPv6 address without brackets, or a name
   * @param deadlines calls `onTimeout` in time; without it, the caller does
   */
  constructor(
    target: Target,
    options: TargetDialOptions,
    handler: TargetDialHandler,
    deadlines?: Deadlines<TargetDial>,
  ) {
    this.#target = target;
    this.#options = options;
    this.#handler = handler;
    this.#deadlines = deadlines;
  }

  start(): void {
    this.#deadlines?.add(this);
    const { host } = this.#target;
    const family = isIP(host);
    if (family !== 0) {
      this.#begin([{ address: host, family }]);
      return;
    }
    const lookup = this.#options.lookup ?? systemLookup;
    this.#lookupAbort = new AbortController();
    lookup(host, this.#lookupAbort.signal).then(
      (addresses) => this.#begin(interleaveFamilies(addresses)),
      (error: Error) => this.#fail(lookupError(error, host)),
    );
  }

  cancel(error: TunnelError): void {
    this.#fail(error);
  }

  onTimeout(): void {
    if (this.#waiting === undefined) {
      const text = `dial tcp: lookup ${this.#target.host}: i/o timeout`;
      this.#fail(new TunnelError('dial_timeout', text));
      return;
    }
    const silent = [...this.#running.values()].map(
      (address) => `dial tcp ${this.#nameOf(address)}: i/o timeout`,
    );
    const failed = (this.#failures ?? []).map(({ message }) => message);
    this.#fail(new TunnelError('dial_timeout', [...silent, ...failed].join('; ')));
  }

  onConnect(socket: AttemptSocket): void {
    if (isSelfConnect(socket, this.#target.port)) {
      socket.destroy(Object.assign(new Error('self-connect'), { code: 'ECONNREFUSED' }));
      return;
    }
    socket[kAttempt] = undefined;
    this.#running.delete(socket);
    this.#end();
    this.#handler.onConnected(socket);
  }

  onError(socket: AttemptSocket, error: NodeJS.ErrnoException): void {
    const address = this.#running.get(socket) ?? '';
    socket[kAttempt] = undefined;
    this.#running.delete(socket);
    this.#addFailure(connectError(error, this.#nameOf(address)));
    this.#next();
  }

  #begin(addresses: LookupAddress[]): void {
    if (this.#hasEnded) return;
    this.#lookupAbort = undefined;
    if (addresses.length === 0) {
      const text = `dial tcp: lookup ${this.#target.host}: no such host`;
      this.#fail(new TunnelError('dns_failed', text));
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
        this.#addFailure(toTunnelError(error, 'dial_failed'));
        continue;
      }
      if (this.#waiting?.length) this.#stagger = setTimeout(this.#next, ATTEMPT_DELAY_MS);
      return;
    }
  };

  #attempt(address: string): void {
    const { port } = this.#target;
    this.#options.check?.(address, port);
    const socket: AttemptSocket = connect({
      host: address,
      port,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
    });
    this.#running.set(socket, address);
    socket[kAttempt] = this;
    // Both stay: a destroyed socket can still report an error.
    socket.on('error', onError);
    socket.on('connect', onConnect);
  }

  #nameOf(address: string): string {
    return formatTarget({ host: address, port: this.#target.port });
  }

  #addFailure(error: TunnelError): void {
    this.#failures ??= [];
    this.#failures.push(error);
  }

  /**
   * The error if all attempts failed: the code of the first failure, as in Go, and the texts of all. An agent without
   * IPv6 has not failed if the target's IPv4 address answered, so `agent_failed` comes last.
   */
  #failureOfAll(): TunnelError {
    const failures = this.#failures ?? [];
    const cause = failures.find(({ code }) => code !== 'agent_failed') ?? failures[0];
    if (cause === undefined) return new TunnelError('dial_failed');
    if (failures.length === 1) return cause;
    const texts = failures.map(({ message }) => message);
    return new TunnelError(cause.code, texts.join('; '), { cause });
  }

  #fail(error: TunnelError): void {
    if (this.#hasEnded) return;
    this.#end();
    this.#handler.onFailed(error);
  }

  #end(): void {
    this.#hasEnded = true;
    this.#deadlines?.delete(this);
    this.#lookupAbort?.abort();
    clearTimeout(this.#stagger);
    for (const loser of this.#running.keys()) {
      (loser as AttemptSocket)[kAttempt] = undefined;
      loser.destroy();
    }
    this.#running.clear();
  }
}

// All sockets share these listeners, so that an attempt costs no closures.

function onConnect(this: AttemptSocket): void {
  this[kAttempt]?.onConnect(this);
}

function onError(this: AttemptSocket, error: NodeJS.ErrnoException): void {
  this[kAttempt]?.onError(this, error);
}

/**
 * Whether the socket is connected to itself: without a listener, the kernel can pick the target's port as the
 * source port, and TCP's simultaneous open succeeds. Like Go's dialer, this counts as refused.
 */
function isSelfConnect(socket: Socket, port: number): boolean {
  return socket.localPort === port && socket.localAddress === socket.remoteAddress;
}

function promiseDial(target: Target, options: TargetDialOptions) {
  let dial!: TargetDial;
  const promise = new Promise<Socket>((onConnected, onFailed) => {
    dial = new TargetDial(target, options, { onConnected, onFailed });
  });
  return { promise, dial };
}
