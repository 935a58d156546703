import type { SecureContextOptions } from 'node:tls';

/** Far more than an agent has servers and transports; the oldest goes first. */
const maxSessions = 256;

/** A connection uses one, and a server hands out two. */
const maxSessionsPerAddress = 2;

const cachesByCredentials = new WeakMap<SecureContextOptions, TlsSessionCache>();

/** Where a session was made, and where else it may be offered. */
export interface SessionKey {
  /** `host:port`. */
  readonly address: string;
  /** Server name and ALPN: a session is only resumed where both are the same (RFC 8446 section 4.6.1). */
  readonly group: string;
}

interface CachedSession extends SessionKey {
  readonly session: Buffer;
}

/**
 * TLS sessions to resume, so that a reconnect costs the server no signature.
 *
 * A session stands for the certificates that were shown when it was made. That is why each set of
 * credentials has a cache of its own: after a renewal nothing of the old one is resumed.
 */
export class TlsSessionCache {
  /** The latest last. */
  #sessions: CachedSession[] = [];

  static for(credentials: SecureContextOptions): TlsSessionCache {
    let cache = cachesByCredentials.get(credentials);
    if (cache === undefined) {
      cache = new TlsSessionCache();
      cachesByCredentials.set(credentials, cache);
    }
    return cache;
  }

  /**
   * Hands a session out once: RFC 8446 appendix C.4 lets no ticket be used twice. Best is one of the
   * address itself; servers that share their ticket keys take each other's, and to those that do not it
   * makes no difference.
   */
  take({ address, group }: SessionKey): Buffer | undefined {
    const usable = this.#sessions.filter((cached) => cached.group === group);
    const best = usable.findLast((cached) => cached.address === address) ?? usable.at(-1);
    this.#sessions = this.#sessions.filter((cached) => cached !== best);
    return best?.session;
  }

  put({ address, group }: SessionKey, session: Buffer): void {
    const isSame = (cached: CachedSession) => cached.address === address && cached.group === group;
    const kept = this.#sessions.filter(isSame).slice(1 - maxSessionsPerAddress);
    this.#sessions = [
      ...this.#sessions.filter((cached) => !isSame(cached) || kept.includes(cached)),
      { address, group, session },
    ].slice(-maxSessions);
  }
}
