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

const FLAG = '--identity-dir';

/** A certificate with its chain and key, all in PEM. */
export interface Identity {
  readonly certificate: X509Certificate;
  readonly certPem: string;
  readonly keyPem: string;
}

/**
 * The directory of an agent that joins with a token. `agent.pem` has key and certificate in one file, because
 * they change together. `ca.crt` is the CA that was verified with --enrollment-ca-hash. While the agent joins,
 * `new.key` is the key of its request: the issuer may already have redeemed the token for that key.
 */
export class IdentityStore {
  /** The agent's certificate and key, and the CA that it verifies servers with. */
  readonly files: Readonly<Record<'cert' | 'key' | 'ca', NamedFile>>;
  readonly #newKeyPath: string;
  readonly #logger: Logger;

  private constructor(directory: string, logger: Logger) {
    this.#newKeyPath = join(directory, 'new.key');
    const pair = { flag: FLAG, path: join(directory, 'agent.pem') };
    const ca = { flag: '--enrollment-ca-hash', path: join(directory, 'ca.crt') };
    this.files = { cert: pair, key: pair, ca };
    this.#logger = logger;
  }

  /**
   * Creates the directory if it is missing.
   * @throws StartupError if it cannot be created, UsageError if other users can write to it
   */
  static async open(directory: string, logger: Logger): Promise<IdentityStore> {
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new StartupError(
        `${FLAG}: ${directory}: cannot be created (${code ?? message}). Name a directory that this user can write to`,
        { cause: error },
      );
    }
    const { mode, uid } = await stat(directory);
    const isOurs = uid === process.getuid?.() || uid === 0;
    if ((mode & 0o022) !== 0 || !isOurs) {
      throw new UsageError(
        `${FLAG}: ${directory}: other users can write to it, and could replace the agent's key. Name a new directory below it: the agent creates it with mode 0700`,
      );
    }
    return new IdentityStore(directory, logger);
  }

  /**
   * Reads the certificate; undefined before the agent has joined.
   * @throws UsageError for damaged files
   */
  async read(): Promise<Identity | undefined> {
    const { cert: file } = this.files;
    if (!(await this.#keepPrivate(file.path))) return undefined;
    const { pem: certPem, certificates } = readCertificateFile(file);
    const { pem: keyPem, key } = readKeyFile(file);
    const [certificate] = certificates;
    if (!certificate.checkPrivateKey(key)) {
      throw new UsageError(
        `${FLAG}: ${file.path}: key and certificate do not match. Remove the file and join with a new token`,
      );
    }
    return { certificate, certPem, keyPem };
  }

  /** The CA in PEM; undefined if the file does not exist. */
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

  /** The key of a request without an answer; undefined if there is none, or if it is damaged. */
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

  /** Writes the certificate, and removes the key of its request. */
  async write({ keyPem, certPem }: Pick<Identity, 'keyPem' | 'certPem'>): Promise<void> {
    await writeFileAtomically(this.files.cert.path, keyPem + certPem, 0o600);
    await rm(this.#newKeyPath, { force: true });
  }

  /** Restricts the file to this user. @returns false if it does not exist */
  async #keepPrivate(path: string): Promise<boolean> {
    try {
      const { mode } = await stat(path);
      if ((mode & 0o077) === 0) return true;
      await chmod(path, 0o600);
      this.#logger.warn({ path }, 'other users could read the key, its mode is now 0600');
      return true;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return false;
      throw new StartupError(`${FLAG}: ${path}: ${message}`, { cause: error });
    }
  }
}

/** The certificates of a PEM text; undefined if there is none, or if one cannot be parsed. */
export function parseCertificates(pem: string): X509Certificate[] | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    const certificates = blocks.map((block) => new X509Certificate(block));
    return certificates.length === 0 ? undefined : certificates;
  } catch {
    return undefined;
  }
}
