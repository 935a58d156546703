import { promises as fs, lstatSync, unlinkSync } from 'node:fs';
import { logListening } from '@fairlead/runtime/net';
import { type Logger, StartupError } from '@fairlead/runtime/process';
import {
  checkUdsPath,
  clearTemporaryUdsPath,
  temporaryUdsPath,
  type UdsClaim,
} from './uds-path.ts';

/** For owner and group: whoever may open the socket may use every tunnel. */
const socketMode = 0o660;

/** A path and the socket file that this process puts there, the only one that it ever removes. */
export class UdsPlace {
  readonly path: string;
  readonly #claim: UdsClaim;
  readonly #logger: Logger;
  /** Device and inode of our socket file, once it exists. */
  #file: { readonly dev: number; readonly ino: number } | undefined;

  constructor(path: string, claim: Partial<UdsClaim>, logger: Logger) {
    this.path = path;
    this.#claim = {
      takeover: claim.takeover ?? false,
      deleteExisting: claim.deleteExisting ?? true,
    };
    this.#logger = logger;
  }

  /**
   * Makes the socket, beside the path for the time being.
   * @param bind makes a socket file before it returns, and resolves when that has worked
   * @throws UsageError, StartupError one line that names `--uds-name` and the cure
   */
  async prepare(bind: (temporaryPath: string) => Promise<unknown>): Promise<void> {
    await checkUdsPath(this.path, this.#claim);
    await clearTemporaryUdsPath(this.path);
    await this.#try(async (temporary) => {
      await withMask(() => bind(temporary));
      await fs.chmod(temporary, socketMode);
      const { dev, ino } = await fs.lstat(temporary);
      this.#file = { dev, ino };
    });
  }

  /** Puts the socket at the path, which is never without one. @throws StartupError */
  async publish(): Promise<void> {
    await this.#try((temporary) => fs.rename(temporary, this.path));
    logListening(this.#logger, 'frontend', { path: this.path });
  }

  /** Removes the path if it is still ours. Node removes the one that it bound, which is the temporary one. */
  release(): void {
    if (!this.#file) return;
    try {
      const { dev, ino } = lstatSync(this.path);
      if (dev === this.#file.dev && ino === this.#file.ino) unlinkSync(this.path);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') this.#logger.warn({ path: this.path, detail: message }, 'not removed');
    }
    this.#file = undefined;
  }

  async #try(step: (temporaryPath: string) => Promise<void>): Promise<void> {
    try {
      await step(temporaryUdsPath(this.path));
    } catch (error) {
      const { message } = error as Error;
      throw new StartupError(`--uds-name ${this.path}: ${message}`, { cause: error });
    }
  }
}

/** Binds with the mask set, so that there is no moment at which others could connect. */
function withMask<T>(bind: () => T): T {
  const mask = process.umask(0o777 & ~socketMode);
  try {
    return bind();
  } finally {
    process.umask(mask);
  }
}
