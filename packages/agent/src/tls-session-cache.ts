import type { SecureContextOptions } from 'node:tls';

/** Far more than an agent has servers and transports; the oldest goes first. */
const maxSessions = 256;

const cachesByCredentials = new WeakMap<SecureContextOptions, TlsSessionCache>();

/**
 * TLS sessions to resume, so that a reconnect costs the server no signature.
 *
 * A session stands for the certificates that were shown when it was made. That is why each set of
 * credentials has a cache of its own: after a renewal nothing of the old one is resumed.
 */
export class TlsSessionCache {
  readonly #sessions = new Map<string, Buffer>();

  static for(credentials: SecureContextOptions): TlsSessionCache {
    let cache = cachesByCredentials.get(credentials);
    if (cache === undefined) {
      cache = new TlsSessionCache();
      cachesByCredentials.set(credentials, cache);
    }
    return cache;
  }

  /** Hands a session out once: RFC 8446 appendix C.4 lets no ticket be used twice. */
  take(key: string): Buffer | undefined {
    const session = this.#sessions.get(key);
    this.#sessions.delete(key);
    return session;
  }

  put(key: string, session: Buffer): void {
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    if (this.#sessions.size <= maxSessions) return;
    const [oldest] = this.#sessions.keys();
    if (oldest !== undefined) this.#sessions.delete(oldest);
  }
}
