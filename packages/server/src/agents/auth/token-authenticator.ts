import { createHash } from 'node:crypto';
import type { TokenReview } from '@fairlead/kubernetes';
import { cleanText, TunnelError } from '@fairlead/protocol';
import { type Logger, release } from '@fairlead/runtime/process';
import type { ServerOptions } from '../../options.ts';
import { type AgentToken, bearerToken, checkReview } from './agent-token.ts';

/** How long a review of a valid token is reused, and one of an invalid token. */
const validMs = 60_000;
const invalidMs = 10_000;

/** Reviews kept of valid tokens, and as many of invalid ones; the oldest is removed first. */
const maxReviews = 4_096;

/** Instead of client-go's 5 and 10, which would keep a large fleet waiting for minutes. */
const defaultPerSecond = 50;
const defaultBurst = 100;

export interface TokenAuthenticatorOptions {
  /** The service account whose tokens are accepted, and the audience that they must be for. */
  readonly wanted: {
    readonly namespace: string;
    readonly serviceAccount: string;
    readonly audience: string;
  };
  /** Asks the Kubernetes API about a token. Rejects if the API gives no verdict. */
  review(token: string): Promise<TokenReview>;
  onReview?(outcome: ReviewOutcome): void;
  /** Releases what `review` uses. */
  close?(): void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** `failed`: the API gave no verdict. */
export type ReviewOutcome = 'valid' | 'invalid' | 'failed';

/**
 * The token authentication that the options ask for; undefined if they ask for none.
 * @throws UsageError if the kubeconfig or the service account of this process cannot be used
 */
export async function createTokenAuthenticator(
  options: ServerOptions,
  logger: Logger,
  onReview: (outcome: ReviewOutcome) => void,
): Promise<TokenAuthenticator | undefined> {
  const { agentNamespace: namespace, agentServiceAccount: serviceAccount } = options;
  const { authenticationAudience: audience } = options;
  if (namespace === undefined || serviceAccount === undefined || audience === undefined) {
    return undefined;
  }
  const { ApiClient, reviewToken } = await import('@fairlead/kubernetes');
  const api = new ApiClient({
    kubeconfig: options.kubeconfig,
    rate: {
      perSecond: options.kubeconfigQps || defaultPerSecond,
      burst: options.kubeconfigBurst || defaultBurst,
    },
    userAgent: `fairlead-server/${release.version}`,
    onStale: ({ message }) => logger.warn({ detail: message }, 'kubeconfig cannot be read again'),
  });
  return new TokenAuthenticator({
    wanted: { namespace, serviceAccount, audience },
    review: (token) => reviewToken(api, token, audience),
    onReview,
    close: () => api.close(),
  });
}

/** Verifies agents' bearer tokens. It keeps only hashes of tokens, and never repeats a token in a text. */
export class TokenAuthenticator {
  readonly #options: TokenAuthenticatorOptions;
  /** By hash of the token. Two caches, so that invalid tokens cannot displace valid ones. */
  readonly #valid: ReviewCache;
  readonly #invalid: ReviewCache;
  readonly #pending = new Map<string, Promise<TokenReview>>();
  readonly #now: () => number;

  constructor(options: TokenAuthenticatorOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#valid = new ReviewCache(this.#now);
    this.#invalid = new ReviewCache(this.#now);
  }

  /**
   * @param authorizations all Authorization headers of a request
   * @throws TunnelError `unauthenticated` with the reason, `authentication_unavailable` if the Kubernetes
   *   API gives no verdict
   */
  async authenticate(authorizations: readonly string[]): Promise<AgentToken> {
    const token = bearerToken(authorizations);
    const key = createHash('sha256').update(token).digest('base64');
    const known = this.#valid.get(key) ?? this.#invalid.get(key);
    return checkReview(known ?? (await this.#askOnce(key, token)), this.#options.wanted);
  }

  close(): void {
    this.#options.close?.();
  }

  /** Agents that send the same token at the same time share one question. */
  #askOnce(key: string, token: string): Promise<TokenReview> {
    const pending = this.#pending.get(key);
    if (pending) return pending;
    const review = this.#ask(key, token).finally(() => this.#pending.delete(key));
    this.#pending.set(key, review);
    return review;
  }

  async #ask(key: string, token: string): Promise<TokenReview> {
    const { review: ask, onReview } = this.#options;
    try {
      const answer = await ask(token);
      // The API, or a plugin of it, may quote the token.
      const review = { ...answer, error: answer.error?.replaceAll(token, '…') };
      onReview?.(review.isAuthenticated ? 'valid' : 'invalid');
      if (review.isAuthenticated) {
        this.#valid.set(key, review, Math.min(this.#now() + validMs, expiryMs(token)));
      } else {
        this.#invalid.set(key, review, this.#now() + invalidMs);
      }
      return review;
    } catch (error) {
      onReview?.('failed');
      const text = cleanText((error as Error).message.replaceAll(token, '…'));
      throw new TunnelError('authentication_unavailable', `the token cannot be verified: ${text}`);
    }
  }
}

/** Reviews by the hash of their token, each until a given time. */
class ReviewCache {
  readonly #entries = new Map<string, { readonly review: TokenReview; readonly untilMs: number }>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  get(key: string): TokenReview | undefined {
    const entry = this.#entries.get(key);
    return entry && entry.untilMs > this.#now() ? entry.review : undefined;
  }

  /** @param untilMs milliseconds since the epoch; a review that has expired is not kept */
  set(key: string, review: TokenReview, untilMs: number): void {
    if (untilMs <= this.#now()) return;
    this.#entries.delete(key);
    this.#entries.set(key, { review, untilMs });
    if (this.#entries.size <= maxReviews) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}

/** The `exp` claim of a JSON Web Token (RFC 7519 section 4.1.4); Infinity if it has none. */
function expiryMs(token: string): number {
  try {
    const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8');
    const { exp } = JSON.parse(payload) as { exp?: unknown };
    if (typeof exp === 'number') return exp * 1_000;
  } catch {
    // Not a JSON Web Token.
  }
  return Number.POSITIVE_INFINITY;
}
