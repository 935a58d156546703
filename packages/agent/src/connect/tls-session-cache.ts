import type { SecureContextOptions } from 'node:tls';

/** Far more than an agent has servers and transports; the oldest is dropped first. */
const MAX_SESSIONS = 256;

/** A connection uses one session; a server issues two. */
const MAX_SESSIONS_PER_ADDRESS = 2;

const cachesByCredentials = new WeakMap<SecureContextOptions, TlsSessionCache>();

/** Where a session was made, and where else it can be offered. */
interface SessionKey {
  /** `host:port`. */
  readonly address: string;
  /** Server name and ALPN: a session is only resumed where both are the same (RFC 8446 section 4.6.1). */
  readonly group: string;
}

/**
 * TLS sessions to resume, so that a reconnect costs the server no signature.
 *
 * A session stands for the certificate that the agent showed when it was made. Therefore each set of
 * credentials has its own cache: after a renewal no session of the old certificate is resumed.
 */
export class TlsSessionCache {
  /** The latest last. */
  #sessions: (SessionKey & { readonly session: Buffer })[] = [];

  static for(credentials: SecureContextOptions): TlsSessionCache {
    let cache = cachesByCredentials.get(credentials);
    if (cache === undefined) {
      cache = new TlsSessionCache();
      cachesByCredentials.set(credentials, cache);
    }
    return cache;
  }

  /**
   * Removes and returns a session: RFC 8446 appendix C.4 forbids to use a ticket twice. Prefers one of the
   * same address. One of another address works if the servers share their ticket keys, and is ignored by
   * a server that does not.
   */
  take({ address, group }: SessionKey): Buffer | undefined {
    const usable = this.#sessions.filter((cached) => cached.group === group);
    const best = usable.findLast((cached) => cached.address === address) ?? usable.at(-1);
    this.#sessions = this.#sessions.filter((cached) => cached !== best);
    return best?.session;
  }

  put({ address, group }: SessionKey, session: Buffer): void {
    const isSame = (cached: SessionKey) => cached.address === address && cached.group === group;
    const kept = this.#sessions.filter(isSame).slice(1 - MAX_SESSIONS_PER_ADDRESS);
    this.#sessions = [
      ...this.#sessions.filter((cached) => !isSame(cached) || kept.includes(cached)),
      { address, group, session },
    ].slice(-MAX_SESSIONS);
  }
}
