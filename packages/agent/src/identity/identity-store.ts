import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Logger,
  StartupError,
  UsageError,
  writeFileAtomically,
} from '@fairlead/runtime/process';
import { type NamedFile, readCertificateFile, readKeyFile } from '@fairlead/runtime/tls';

const flag = '--identity-dir';

/** What the agent shows to servers, and which of these it trusts. */
export interface IdentityFiles {
  readonly cert: NamedFile;
  readonly key: NamedFile;
  readonly ca: NamedFile;
}

/** A certificate with its chain and key, all in PEM. */
export interface Identity {
  readonly certificate: X509Certificate;
  readonly certPem: string;
  readonly keyPem: string;
}

/**
 * The directory of an agent that has joined by a token: `agent.pem` with key and certificate, in one file
 * because they change as one, and `ca.crt`, which the token's hash vouches for. While it joins, `new.key` is the
 * key for which it asks: the issuer may have redeemed the token for that one.
 */
export class IdentityStore {
  readonly files: IdentityFiles;
  readonly #newKeyPath: string;
  readonly #logger: Logger;

  private constructor(directory: string, logger: Logger) {
    this.#newKeyPath = join(directory, 'new.key');
    const pair = { flag, path: join(directory, 'agent.pem') };
    const ca = { flag: '--enrollment-ca-hash', path: join(directory, 'ca.crt') };
    this.files = { cert: pair, key: pair, ca };
    this.#logger = logger;
  }

  /**
   * Makes the directory if it is missing.
   * @throws StartupError when it cannot be made or written to, UsageError when others may write there
   */
  static async open(directory: string, logger: Logger): Promise<IdentityStore> {
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new StartupError(
        `${flag}: ${directory}: cannot be made (${code ?? message}); name a directory that this user may write to`,
        { cause: error },
      );
    }
    const { mode, uid } = await stat(directory);
    const isOurs = uid === process.getuid?.() || uid === 0;
    if ((mode & 0o022) !== 0 || !isOurs) {
      throw new UsageError(
        `${flag}: ${directory}: others may write there, and so put a key of theirs in the place of the agent's; name a directory below it that is not there yet, which is then made with mode 0700`,
      );
    }
    return new IdentityStore(directory, logger);
  }

  /**
   * What is kept; undefined before the agent has joined.
   * @throws UsageError for files that are damaged
   */
  async read(): Promise<Identity | undefined> {
    const { cert: file } = this.files;
    if (!(await this.#keepPrivate(file.path))) return undefined;
    const { pem: certPem, certificates } = readCertificateFile(file);
    const { pem: keyPem, key } = readKeyFile(file);
    const [certificate] = certificates;
    if (!certificate.checkPrivateKey(key)) {
      throw new UsageError(
        `${flag}: ${file.path}: key and certificate do not belong together; remove the file and join with a new token`,
      );
    }
    return { certificate, certPem, keyPem };
  }

  /** The CA that was kept, in PEM. */
  async readCa(): Promise<string | undefined> {
    try {
      return await readFile(this.files.ca.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async writeCa(pem: string): Promise<void> {
    await writeFileAtomically(this.files.ca.path, pem, 0o644);
  }

  /** The key of a request that was not answered, if there is one; a damaged one is none. */
  async readNewKey(): Promise<KeyObject | undefined> {
    try {
      return createPrivateKey(await readFile(this.#newKeyPath, 'utf8'));
    } catch {
      return undefined;
    }
  }

  async writeNewKey(keyPem: string): Promise<void> {
    await writeFileAtomically(this.#newKeyPath, keyPem, 0o600);
  }

  async removeNewKey(): Promise<void> {
    await rm(this.#newKeyPath, { force: true });
  }

  async write({ keyPem, certPem }: Pick<Identity, 'keyPem' | 'certPem'>): Promise<void> {
    await writeFileAtomically(this.files.cert.path, keyPem + certPem, 0o600);
  }

  /** @returns false when there is no such file */
  async #keepPrivate(path: string): Promise<boolean> {
    try {
      const { mode } = await stat(path);
      if ((mode & 0o077) === 0) return true;
      await chmod(path, 0o600);
      this.#logger.warn({ path }, 'others could read the key; its mode is 0600 again');
      return true;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return false;
      throw new StartupError(`${flag}: ${path}: ${message}`, { cause: error });
    }
  }
}

/** The certificates of a PEM text; undefined unless there is at least one, and all can be read. */
export function parseCertificates(pem: string): X509Certificate[] | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    const certificates = blocks.map((block) => new X509Certificate(block));
    return certificates.length === 0 ? undefined : certificates;
  } catch {
    return undefined;
  }
}
