import { StartupError } from '@fairlead/runtime/process';
import { z } from 'zod';
import { hashOfToken, type Token } from '../../enrollment/index.ts';

const texts = z.array(z.string()).readonly();

/** The agent that a token admits, and what the agent may claim. */
export interface AgentGrant {
  /** The agent's name, and the common name of its certificate. */
  readonly agentId: string;
  readonly hosts: readonly string[];
  readonly ips: readonly string[];
  readonly cidrs: readonly string[];
  readonly defaultRoute: boolean;
}

/** What a store keeps of a token: everything except its secret. */
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

/** When, and by which agent, a token was redeemed. */
export const tokenClaim = z.object({
  /** SHA-256 of the public key that it was redeemed for: the same agent may ask again. */
  keyHash: z.string(),
  claimedAt: z.iso.datetime(),
  address: z.string(),
});
export type TokenClaim = z.infer<typeof tokenClaim>;

export interface StoredToken {
  readonly record: TokenRecord;
  /** Undefined if the token has not been redeemed. */
  readonly claim: TokenClaim | undefined;
}

/** Keeps tokens. Several processes and threads may use a store at once; `claim` decides between them. */
export interface TokenStore {
  add(record: TokenRecord): Promise<void>;
  get(id: string): Promise<StoredToken | undefined>;
  /** Entries that are not tokens, or cannot be read, are skipped with a warning: one must not hide the others. */
  list(): Promise<readonly StoredToken[]>;
  /**
   * Redeems a token durably: exactly one of all attempts ever succeeds, even across crashes.
   *
   * @returns the valid claim: this one or an earlier one; undefined if there is no such token
   */
  claim(id: string, claim: TokenClaim): Promise<TokenClaim | undefined>;
  /** @returns false if there is no such token */
  remove(id: string): Promise<boolean>;
  close(): void;
}

/** The store cannot be read or written. The text is one line with flag and cure, and contains no secret. */
export class TokenStoreError extends StartupError {
  /** Whether a retry may succeed without an operator's help. */
  readonly mayPass: boolean;

  constructor(text: string, options: ErrorOptions & { readonly mayPass?: boolean } = {}) {
    super(text, options);
    this.name = 'TokenStoreError';
    this.mayPass = options.mayPass ?? false;
  }
}

/** For `list`. @returns undefined, after a warning, for an entry that is not a token or cannot be read */
export async function skipUnreadable(
  read: () => StoredToken | undefined | Promise<StoredToken | undefined>,
  warn: (text: string) => void,
): Promise<StoredToken | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof TokenStoreError)) throw error;
    warn(error.message);
    return undefined;
  }
}

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

export const isExpired = ({ expiresAt }: TokenRecord, now: Date = new Date()): boolean =>
  now >= new Date(expiresAt);
