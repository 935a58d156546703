import { type ApiClient, type Secret, SecretApi, toApiError } from '@fairlead/kubernetes';
import {
  type StoredToken,
  skipUnreadable,
  type TokenClaim,
  type TokenRecord,
  type TokenStore,
  TokenStoreError,
  tokenClaim,
  tokenRecord,
} from './token-store.ts';

const flag = '--token-namespace';
const type = 'fairlead/enrolment-token';
const labels = { 'fairlead/kind': 'enrolment-token' };
const labelSelector = 'fairlead/kind=enrolment-token';
const namePrefix = 'fairlead-token-';

/** For all requests of one call, so that an issuer can answer within its --request-timeout. */
const callTimeoutMs = 4_000;
/** Each conflict is a write by another client; of several claims of a token at most one is a write. */
const maxConflicts = 5;

/**
 * Tokens as Secrets of one namespace, one for each token, with the keys `token` and, once it is redeemed,
 * `redeemed`: the same JSON as in the files of FileTokenStore. If several issuers claim a token, the API
 * accepts one write, whose resourceVersion is current; the others get a conflict and read the Secret again.
 * One Secret for all tokens would be limited to 1 MiB, and agents that join at once would conflict.
 *
 * All methods throw TokenStoreError.
 */
export class SecretTokenStore implements TokenStore {
  readonly #api: ApiClient;
  readonly #secrets: SecretApi;
  readonly #namespace: string;
  readonly #warn: (text: string) => void;

  constructor(api: ApiClient, namespace: string, warn: (text: string) => void) {
    this.#warn = warn;
    this.#api = api;
    this.#namespace = namespace;
    this.#secrets = new SecretApi({ api, namespace });
  }

  async add(record: TokenRecord): Promise<void> {
    const metadata = { name: namePrefix + record.id, labels };
    const secret = { metadata, type, data: { token: encode(record) } };
    await this.#call(async (signal) => {
      try {
        await this.#secrets.create(secret, signal);
      } catch (error) {
        if (toApiError(error).status !== 409) throw error;
        throw new TokenStoreError(`token ${record.id} already exists`);
      }
    });
  }

  async get(id: string): Promise<StoredToken | undefined> {
    const secret = await this.#call((signal) => this.#find(id, signal));
    return secret && this.#read(secret);
  }

  async list(): Promise<StoredToken[]> {
    const secrets = await this.#call(() => this.#secrets.list(labelSelector));
    const tokens = await Promise.all(
      secrets.map((secret) => skipUnreadable(() => this.#read(secret), this.#warn)),
    );
    return tokens.filter((token) => token !== undefined);
  }

  claim(id: string, claim: TokenClaim): Promise<TokenClaim | undefined> {
    return this.#change(id, async (secret, signal) => {
      const { claim: earlier } = this.#read(secret);
      if (earlier) return earlier;
      const data = { ...secret.data, redeemed: encode(claim) };
      await this.#secrets.update({ ...secret, data }, signal);
      return claim;
    });
  }

  async remove(id: string): Promise<boolean> {
    const isRemoved = await this.#change(id, async (secret, signal) => {
      await this.#secrets.delete(secret, signal);
      return true;
    });
    return isRemoved === true;
  }

  close(): void {
    this.#api.close();
  }

  /** Works on the current Secret, again after a conflict. @returns undefined if there is no Secret */
  #change<T>(
    id: string,
    work: (secret: Secret, signal: AbortSignal) => Promise<T>,
  ): Promise<T | undefined> {
    return this.#call(async (signal) => {
      for (let conflicts = 0; ; conflicts++) {
        const secret = await this.#find(id, signal);
        if (!secret) return undefined;
        try {
          return await work(secret, signal);
        } catch (error) {
          const { status } = toApiError(error);
          const isChanged = status === 409 || status === 404;
          if (!isChanged || conflicts === maxConflicts) throw error;
        }
      }
    });
  }

  async #find(id: string, signal: AbortSignal): Promise<Secret | undefined> {
    try {
      return await this.#secrets.get(namePrefix + id, signal);
    } catch (error) {
      if (toApiError(error).status === 404) return undefined;
      throw error;
    }
  }

  /** @throws TokenStoreError for a Secret that others have created or changed */
  #read({ metadata: { name }, type: given, data }: Secret): StoredToken {
    try {
      if (given !== type) throw new Error(`its type is "${given}" and not ${type}`);
      const { token, redeemed } = data ?? {};
      const record = tokenRecord.parse(decode(token));
      if (name !== namePrefix + record.id) throw new Error(`it contains the token ${record.id}`);
      const claim = redeemed === undefined ? undefined : tokenClaim.parse(decode(redeemed));
      return { record, claim };
    } catch (error) {
      throw new TokenStoreError(
        `${flag}: the Secret ${this.#namespace}/${name} is not a token: ${(error as Error).message.replace(/\s+/g, ' ')}; delete it`,
        { cause: error },
      );
    }
  }

  async #call<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const signal = AbortSignal.timeout(callTimeoutMs);
    try {
      return await work(signal);
    } catch (error) {
      throw error instanceof TokenStoreError ? error : this.#explain(error, signal.aborted);
    }
  }

  #explain(cause: unknown, isTimeout: boolean): TokenStoreError {
    const { status, message } = toApiError(cause);
    const fail = (text: string, mayPass: boolean) =>
      new TokenStoreError(`${flag}: ${this.#namespace}: ${text}`, { cause, mayPass });
    if (status === 401) {
      return fail(`${message}; give a --kubeconfig whose credentials are valid`, false);
    }
    if (status === 403) {
      return fail(
        `${message}; bind a Role with get, list, create, update and delete for secrets in this namespace to this user, as deploy/kubernetes/issuer/tokens.yaml does`,
        false,
      );
    }
    if (status === 404) {
      return fail(`${message}; create the namespace, or give the one with the tokens`, false);
    }
    if (status === 0 && isTimeout) {
      const text = `no answer from the Kubernetes API at ${this.#api.server} within ${callTimeoutMs} ms`;
      return fail(text, true);
    }
    return fail(message, true);
  }
}

const encode = (value: TokenRecord | TokenClaim): string =>
  Buffer.from(JSON.stringify(value)).toString('base64');

const decode = (base64 = ''): unknown => JSON.parse(Buffer.from(base64, 'base64').toString('utf8'));
