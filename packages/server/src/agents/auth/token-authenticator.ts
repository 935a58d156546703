import { createHash } from 'node:crypto';
import type { TokenReview } from '@fairlead/kubernetes';
import { cleanText, TunnelError } from '@fairlead/protocol';
import { type AgentToken, bearerToken, judgeReview, type WantedAccount } from './agent-token.ts';
import { VerdictCache } from './verdict-cache.ts';

/** How long the Kubernetes API is not asked again about the same token: a valid one, and another. */
const validMs = 60_000;
const invalidMs = 10_000;

export interface TokenAuthenticatorOptions {
  readonly wanted: WantedAccount;
  /** Asks the Kubernetes API. Rejects when there is no verdict. */
  review(token: string): Promise<TokenReview>;
  /** Told how each question to the API ended. */
  onReview?(outcome: ReviewOutcome): void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** What the API said of a token: `failed` is no verdict. */
export type ReviewOutcome = 'valid' | 'invalid' | 'failed';

/** Finds out who an agent is by its bearer token. Tokens are kept as hashes only, and never told to anybody. */
export class TokenAuthenticator {
  readonly #options: TokenAuthenticatorOptions;
  readonly #now: () => number;
  /** By hash of the token; apart, so that bad tokens cannot crowd out good ones. */
  readonly #valid: VerdictCache<TokenReview>;
  readonly #invalid: VerdictCache<TokenReview>;
  readonly #asked = new Map<string, Promise<TokenReview>>();

  constructor(options: TokenAuthenticatorOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#valid = new VerdictCache(this.#now);
    this.#invalid = new VerdictCache(this.#now);
  }

  /**
   * @param authorizations all Authorization headers of a request
   * @throws TunnelError `unauthenticated` with the reason, `authentication_unavailable` when the Kubernetes
   *   API gives no verdict
   */
  async authenticate(authorizations: readonly string[]): Promise<AgentToken> {
    const token = bearerToken(authorizations);
    const key = createHash('sha256').update(token).digest('base64');
    const known = this.#valid.get(key) ?? this.#invalid.get(key);
    const review = known ?? (await this.#ask(key, token));
    return judgeReview(review, this.#options.wanted);
  }

  /** Agents that ask with the same token at once share one question. */
  #ask(key: string, token: string): Promise<TokenReview> {
    const asked = this.#asked.get(key);
    if (asked) return asked;
    const asking = this.#review(key, token).finally(() => this.#asked.delete(key));
    this.#asked.set(key, asking);
    return asking;
  }

  async #review(key: string, token: string): Promise<TokenReview> {
    const { review, onReview } = this.#options;
    try {
      const verdict = withoutToken(await review(token), token);
      onReview?.(verdict.isAuthenticated ? 'valid' : 'invalid');
      if (verdict.isAuthenticated) {
        const untilMs = Math.min(this.#now() + validMs, expiryMs(token));
        this.#valid.set(key, verdict, untilMs);
      } else {
        this.#invalid.set(key, verdict, this.#now() + invalidMs);
      }
      return verdict;
    } catch (error) {
      onReview?.('failed');
      const text = cleanText((error as Error).message.replaceAll(token, '…'));
      throw new TunnelError('authentication_unavailable', `the token cannot be judged: ${text}`);
    }
  }
}

/** What the API, or a plugin of it, says might quote what it was asked. */
function withoutToken(review: TokenReview, token: string): TokenReview {
  return { ...review, error: review.error?.replaceAll(token, '…') };
}

/** When a JSON Web Token ends by its own word (RFC 7519 section 4.1.4); Infinity if it does not say. */
function expiryMs(token: string): number {
  try {
    const claims: unknown = JSON.parse(
      Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'),
    );
    const { exp } = claims as { exp?: unknown };
    return typeof exp === 'number' ? exp * 1_000 : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
