import { StartupError } from '@fairlead/runtime/process';
import { z } from 'zod';
import { hashOfToken, type Token } from '../../enrollment/index.ts';

const texts = z.array(z.string()).readonly();

/** Whom a token lets in, and what the agent may claim then. */
export interface AgentGrant {
  /** The agent's name, and the common name of its certificate. */
  readonly agentId: string;
  readonly hosts: readonly string[];
  readonly ips: readonly string[];
  readonly cidrs: readonly string[];
  readonly defaultRoute: boolean;
}

/** What is kept of a token: everything but the token. */
export const tokenRecord = z.object({
  id: z.string(),
  /** Hexadecimal SHA-256 of the token. */
  hash: z.string(),
  agentId: z.string(),
  hosts: texts,
  ips: texts,
  cidrs: texts,
  defaultRoute: z.boolean(),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
});
export type TokenRecord = z.infer<typeof tokenRecord>;

/** Who redeemed a token. */
export const tokenClaim = z.object({
  /** SHA-256 of the public key for which it was redeemed: the same agent may ask again. */
  keyHash: z.string(),
  claimedAt: z.iso.datetime(),
  address: z.string(),
});
export type TokenClaim = z.infer<typeof tokenClaim>;

export interface StoredToken {
  readonly record: TokenRecord;
  /** Undefined for a token that nobody has redeemed. */
  readonly claim: TokenClaim | undefined;
}

/**
 * Where tokens are kept. Several processes, and several threads of one, may use a store at once; what
 * counts is `claim`.
 */
export interface TokenStore {
  /** Adds a token whose ID is new. */
  add(record: TokenRecord): Promise<void>;
  get(id: string): Promise<StoredToken | undefined>;
  list(): Promise<readonly StoredToken[]>;
  /**
   * Redeems a token, durably: of all that ever try exactly one succeeds, whatever crashes meanwhile.
   * @returns the claim that holds: this one, or the one that was there before; undefined when the token
   *   is gone
   */
  claim(id: string, claim: TokenClaim): Promise<TokenClaim | undefined>;
  /** @returns false when there is no such token */
  remove(id: string): Promise<boolean>;
  /** Lets connections go. */
  close(): void;
}

/** Tokens that cannot be read or written now. The text is one line, with flag and cure, and holds no secret. */
export class TokenStoreError extends StartupError {
  /** Whether the same may succeed later without anybody's help. */
  readonly mayPass: boolean;

  constructor(text: string, options: ErrorOptions & { readonly mayPass?: boolean } = {}) {
    super(text, options);
    this.name = 'TokenStoreError';
    this.mayPass = options.mayPass ?? false;
  }
}

/** What to keep of a new token. */
export function recordOf(
  token: Token,
  grant: AgentGrant,
  lifetimeMs: number,
  now: Date = new Date(),
): TokenRecord {
  return {
    id: token.id,
    hash: hashOfToken(token),
    ...grant,
    createdAt: now.toISOString(),
    expiresAt: new Date(now.getTime() + lifetimeMs).toISOString(),
  };
}

/** Whether the token's time is up. */
export const isExpired = ({ expiresAt }: TokenRecord, now: Date = new Date()): boolean =>
  now >= new Date(expiresAt);
