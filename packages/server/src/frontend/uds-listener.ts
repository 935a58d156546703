import { once } from 'node:events';
import { promises as fs, lstatSync, unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { type Logger, logListening, StartupError } from '@fairlead/runtime';
import {
  checkUdsPath,
  clearTemporaryUdsPath,
  temporaryUdsPath,
  type UdsClaim,
} from './uds-path.ts';

export interface UdsListenerOptions extends Partial<UdsClaim> {
  readonly path: string;
}

/** For owner and group: whoever may open the socket may use every tunnel. */
const socketMode = 0o660;

/** A Unix domain socket of which only the file that this process made is ever removed. */
export class UdsListener {
  readonly path: string;
  readonly #claim: UdsClaim;
  readonly #logger: Logger;
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  /** Device and inode of our socket file, once it is at `path`. */
  #file: { readonly dev: number; readonly ino: number } | undefined;

  constructor(options: UdsListenerOptions, logger: Logger, onConnection: (socket: Socket) => void) {
    this.path = options.path;
    this.#claim = {
      takeover: options.takeover ?? false,
      deleteExisting: options.deleteExisting ?? true,
    };
    this.#logger = logger;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#connections.add(socket);
      socket.once('close', () => this.#connections.delete(socket));
      onConnection(socket);
    });
  }

  /** @throws UsageError, StartupError one line that names `--uds-name` and the cure */
  async listen(): Promise<void> {
    await checkUdsPath(this.path, this.#claim);
    await clearTemporaryUdsPath(this.path);
    const temporary = temporaryUdsPath(this.path);
    try {
      this.#bind(temporary);
      await once(this.#server, 'listening');
      // A cluster's primary binds with its own mask.
      await fs.chmod(temporary, socketMode);
      const { dev, ino } = await fs.lstat(temporary);
      await fs.rename(temporary, this.path);
      this.#file = { dev, ino };
    } catch (error) {
      this.#server.close();
      const { message } = error as Error;
      throw new StartupError(`--uds-name ${this.path}: ${message}`, { cause: error });
    }
    this.#server.on('error', (error) => {
      this.#logger.warn({ path: this.path, detail: error.message }, 'accept failed');
    });
    logListening(this.#logger, 'frontend', { path: this.path });
  }

  /** Stops accepting. Node removes the path that it bound, which is the temporary one. */
  stop(): void {
    if (!this.#file) return;
    try {
      const { dev, ino } = lstatSync(this.path);
      if (dev === this.#file.dev && ino === this.#file.ino) unlinkSync(this.path);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') this.#logger.warn({ path: this.path, detail: message }, 'not removed');
    }
    this.#file = undefined;
    this.#server.close();
  }

  /** Closes every connection at once. */
  destroyAll(): void {
    for (const socket of [...this.#connections]) socket.destroy();
  }

  /** Binds with the mask set, so that there is no moment at which others could connect. */
  #bind(path: string): void {
    const mask = process.umask(0o777 & ~socketMode);
    try {
      this.#server.listen(path);
    } finally {
      process.umask(mask);
    }
  }
}
