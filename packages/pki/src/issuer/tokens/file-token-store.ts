import { randomUUID } from 'node:crypto';
import { chown, link, mkdir, readdir, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { StartupError, syncDirectory, writeNewFile } from '@fairlead/runtime/process';
import type { z } from 'zod';
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

const TOKEN_ENDING = '.token.json';
const CLAIM_ENDING = '.redeemed.json';
const NEW_ENDING = '.new';

/**
 * Tokens as files of one directory: `ID.token.json`, and `ID.redeemed.json` once it is redeemed.
 * A file is written and synced under a temporary name and then linked to its own: link(2) succeeds for
 * exactly one of several processes, and the file is complete. A crash leaves at most a temporary file.
 */
export class FileTokenStore implements TokenStore {
  readonly #directory: string;
  readonly #warn: (text: string) => void;

  private constructor(directory: string, warn: (text: string) => void) {
    this.#directory = directory;
    this.#warn = warn;
  }

  /**
   * @param warn called for each file that `list` skips because it cannot be read
   * @throws StartupError if the directory cannot be created, is missing although `use` is `find`, or is
   *   writable by users other than its owner
   */
  static async open(
    directory: string,
    warn: (text: string) => void,
    use: 'make' | 'find' = 'make',
  ): Promise<FileTokenStore> {
    try {
      if (use === 'make') await mkdir(directory, { recursive: true, mode: 0o700 });
      const { mode } = await stat(directory);
      if ((mode & 0o022) !== 0) {
        throw new StartupError(
          `--token-dir: ${directory}: others than its owner may write there, and so make tokens; run chmod go-w on it`,
        );
      }
    } catch (error) {
      if (error instanceof StartupError) throw error;
      const reason = isMissing(error)
        ? 'no such directory; give the one that tokens were made in'
        : (error as Error).message;
      throw new StartupError(`--token-dir: ${directory}: ${reason}`, { cause: error });
    }
    return new FileTokenStore(directory, warn);
  }

  async add(record: TokenRecord): Promise<void> {
    const isNew = await this.#create(record.id + TOKEN_ENDING, record);
    if (!isNew) throw new TokenStoreError(`token ${record.id} already exists`);
  }

  async get(id: string): Promise<StoredToken | undefined> {
    const record = await this.#read(id + TOKEN_ENDING, tokenRecord);
    return record && { record, claim: await this.#read(id + CLAIM_ENDING, tokenClaim) };
  }

  async list(): Promise<StoredToken[]> {
    const names = (await readdir(this.#directory)).filter((name) => name.endsWith(TOKEN_ENDING));
    const tokens = await Promise.all(
      names.map((name) =>
        skipUnreadable(() => this.get(name.slice(0, -TOKEN_ENDING.length)), this.#warn),
      ),
    );
    return tokens.filter((token) => token !== undefined);
  }

  async claim(id: string, claim: TokenClaim): Promise<TokenClaim | undefined> {
    const isFirst = await this.#create(id + CLAIM_ENDING, claim);
    // Read last: a token that was revoked meanwhile admits no agent.
    const token = await this.get(id);
    return token && (isFirst ? claim : token.claim);
  }

  /** Removes the token first: a redeemed token must never be in the store without its claim. */
  async remove(id: string): Promise<boolean> {
    const isRemoved = await this.#unlink(id + TOKEN_ENDING);
    await this.#unlink(id + CLAIM_ENDING);
    await syncDirectory(this.#directory);
    return isRemoved;
  }

  close(): void {}

  /** @returns false if the name exists */
  async #create(name: string, value: TokenRecord | TokenClaim): Promise<boolean> {
    const path = join(this.#directory, name);
    const newPath = `${path}.${randomUUID()}${NEW_ENDING}`;
    await writeNewFile(newPath, `${JSON.stringify(value)}\n`, 0o600);
    try {
      await this.#giveToOwner(newPath);
      await link(newPath, path);
      await syncDirectory(this.#directory);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    } finally {
      await unlink(newPath);
    }
  }

  /** A token that root creates must be readable for the issuer, which owns the directory. */
  async #giveToOwner(path: string): Promise<void> {
    if (process.geteuid?.() !== 0) return;
    const { uid, gid } = await stat(this.#directory);
    await chown(path, uid, gid);
  }

  async #read<T>(name: string, schema: z.ZodType<T>): Promise<T | undefined> {
    try {
      return schema.parse(JSON.parse(await readFile(join(this.#directory, name), 'utf8')));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw new TokenStoreError(
        `--token-dir: ${join(this.#directory, name)} cannot be read: ${(error as Error).message}`,
        { cause: error },
      );
    }
  }

  async #unlink(name: string): Promise<boolean> {
    try {
      await unlink(join(this.#directory, name));
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';
