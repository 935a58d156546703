import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { listen } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import { UdsPlace } from './socket-path.ts';
import type { UdsClaim } from './uds-path.ts';

export interface UdsListenerOptions extends Partial<UdsClaim> {
  readonly path: string;
  /** A socket that another process has put at the path and takes care of. */
  readonly shared?: { readonly fd: number; onStop(): void } | undefined;
}

/** A Unix domain socket of which only the file that this process made is ever removed. */
export class UdsListener {
  readonly path: string;
  readonly #options: UdsListenerOptions;
  readonly #place: UdsPlace;
  readonly #logger: Logger;
  readonly #server: Server;
  readonly #connections = new Set<Socket>();

  constructor(options: UdsListenerOptions, logger: Logger, onConnection: (socket: Socket) => void) {
    this.path = options.path;
    this.#options = options;
    this.#place = new UdsPlace(options.path, options, logger);
    this.#logger = logger;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#connections.add(socket);
      socket.once('close', () => this.#connections.delete(socket));
      onConnection(socket);
    });
  }

  /** @throws UsageError, StartupError one line that names `--uds-name` and the cure */
  async listen(): Promise<void> {
    const { shared } = this.#options;
    if (shared) {
      const place = { listener: 'frontend', flag: '--uds-name', port: 0, host: this.path };
      await listen(this.#server, { ...place, fd: shared.fd }, this.#logger);
      return;
    }
    try {
      await this.#place.prepare((temporary) => {
        this.#server.listen(temporary);
        return once(this.#server, 'listening');
      });
      await this.#place.publish();
    } catch (error) {
      this.#server.close();
      throw error;
    }
    this.#server.on('error', (error) => {
      this.#logger.warn({ path: this.path, detail: error.message }, 'accept failed');
    });
  }

  /** Stops accepting. */
  stop(): void {
    if (!this.#server.listening) return;
    const { shared } = this.#options;
    if (shared) shared.onStop();
    else this.#place.release();
    this.#server.close();
  }

  /** Closes every connection at once. */
  destroyAll(): void {
    for (const socket of [...this.#connections]) socket.destroy();
  }
}
