import { promises as fs, lstatSync, type Stats, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { logListening } from '@fairlead/runtime/net';
import { type Logger, StartupError, UsageError } from '@fairlead/runtime/process';

/** What `sun_path` holds on Linux, less its closing zero byte. */
const maxPathBytes = 107;

/** Owner and group: a process that can open the socket can use every tunnel. */
const socketMode = 0o660;

/** What may happen to a socket that exists at the path. */
export interface SocketPathOptions {
  /** Take the path from a server that still listens there; its connections stay its own. Default: no. */
  readonly takeover?: boolean;
  /** Replace a socket on which no process listens. Default: yes. */
  readonly deleteExisting?: boolean;
}

/** A socket path and the socket file that this process makes there, the only file that it ever removes. */
export class SocketPath {
  readonly path: string;
  readonly #options: SocketPathOptions;
  readonly #logger: Logger;
  /** The socket is made here and then renamed over `path`, at which there is always a socket. */
  readonly #temporaryPath: string;
  /** Device and inode of this process's socket file, once it exists. */
  #file: { readonly dev: number; readonly ino: number } | undefined;

  constructor(path: string, options: SocketPathOptions, logger: Logger) {
    this.path = path;
    this.#temporaryPath = `${path}.${process.pid}`;
    this.#options = options;
    this.#logger = logger;
  }

  /**
   * Makes the socket at a temporary path in the same directory. It can be repeated.
   * @param bind makes a socket file before it returns, and resolves when that has worked
   * @throws UsageError the path is too long, its directory is missing, or it is not a socket
   * @throws StartupError another server listens there, or the system refuses
   */
  async prepare(bind: (temporaryPath: string) => Promise<unknown>): Promise<void> {
    await this.#check();
    const temporary = this.#temporaryPath;
    // A process with the same PID may have left it when it was killed.
    const left = await statOf(temporary);
    if (left?.isSocket() && (await probe(temporary)) === 'stale') await fs.unlink(temporary);
    await this.#try(async () => {
      await withMask(() => bind(temporary));
      await fs.chmod(temporary, socketMode);
      const { dev, ino } = await fs.lstat(temporary);
      this.#file = { dev, ino };
    });
  }

  /** Moves the socket to the path. @throws StartupError */
  async publish(): Promise<void> {
    await this.#try(() => fs.rename(this.#temporaryPath, this.path));
    logListening(this.#logger, 'frontend', { path: this.path });
  }

  /** Whether clients that connect to the path reach this process's socket. */
  get isOurs(): boolean {
    try {
      return this.#isOurFile(lstatSync(this.path));
    } catch {
      return false;
    }
  }

  /** Removes the socket if it is still this process's. Node removes only the path that it bound, the temporary one. */
  release(): void {
    if (!this.#file) return;
    try {
      if (this.#isOurFile(lstatSync(this.path))) unlinkSync(this.path);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT')
        this.#logger.warn({ path: this.path, detail: message }, 'the socket path was not removed');
    }
    this.#file = undefined;
  }

  #isOurFile({ dev, ino }: Stats): boolean {
    return dev === this.#file?.dev && ino === this.#file.ino;
  }

  /** @throws UsageError, StartupError if this process must not have the path */
  async #check(): Promise<void> {
    const { deleteExisting = true } = this.#options;
    // A server from which another one took the path does not take it back.
    const takeover = this.#options.takeover === true && !this.#file;
    const at = `--uds-name ${this.path}`;
    const bytes = Buffer.byteLength(this.path);
    const limit = maxPathBytes - (Buffer.byteLength(this.#temporaryPath) - bytes);
    if (bytes > limit) {
      throw new UsageError(
        `${at}: the path has ${bytes} bytes, at most ${limit} fit into a socket address; use a shorter path`,
      );
    }
    const found = await statOf(this.path);
    if (!found) {
      // Node would report the missing directory as a lack of permission.
      if (await statOf(dirname(this.path))) return;
      throw new UsageError(`${at}: the directory does not exist; create it`);
    }
    if (!found.isSocket()) {
      throw new UsageError(`${at}: this exists and is not a socket; remove it or use another path`);
    }
    const state = await probe(this.path);
    if (state === 'live' && !takeover) {
      throw new StartupError(
        `${at}: another process listens there; stop it, or take the path over with --uds-takeover`,
      );
    }
    if (state === 'stale' && !deleteExisting) {
      throw new StartupError(
        `${at}: a socket of an ended process is there and --delete-existing-uds-file=false; remove it`,
      );
    }
  }

  async #try(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      throw startupError(this.path, error as Error);
    }
  }
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await fs.lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw startupError(path, error as Error);
  }
}

/** Whether a process accepts connections at a socket path. */
function probe(path: string): Promise<'live' | 'stale' | 'gone'> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve('live');
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // A full backlog means that a process listens.
      if (error.code === 'EAGAIN') resolve('live');
      else if (error.code === 'ECONNREFUSED') resolve('stale');
      else if (error.code === 'ENOENT') resolve('gone');
      else if (error.code === 'EACCES' || error.code === 'EPERM') {
        const text = 'the socket there belongs to another user; remove it or use another path';
        reject(new StartupError(`--uds-name ${path}: ${text}`, { cause: error }));
      } else reject(startupError(path, error));
    });
  });
}

function startupError(path: string, error: NodeJS.ErrnoException): StartupError {
  const isDenied = error.code === 'EACCES' || error.code === 'EPERM';
  const text = isDenied
    ? `this user (uid ${process.geteuid?.()}) may not create files in ${dirname(path)}; run chown or chmod on it, or use another path`
    : error.message;
  return new StartupError(`--uds-name ${path}: ${text}`, { cause: error });
}

/** Binds with the mask set, so that other users can connect at no time. */
function withMask<T>(bind: () => T): T {
  const mask = process.umask(0o777 & ~socketMode);
  try {
    return bind();
  } finally {
    process.umask(mask);
  }
}
