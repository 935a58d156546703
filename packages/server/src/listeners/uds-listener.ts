import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { listen } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import { SocketPath, type SocketPathOptions } from './socket-path.ts';

export interface UdsListenerOptions extends SocketPathOptions {
  readonly path: string;
  /** A socket that another process has made at the path and removes. */
  readonly shared?: { readonly fd: number; onStop(): void } | undefined;
}

/** A Unix domain socket. Only the socket file that this process made is ever removed. */
export class UdsListener {
  readonly #options: UdsListenerOptions;
  readonly #socketPath: SocketPath;
  readonly #logger: Logger;
  readonly #server: Server;
  readonly #connections = new Set<Socket>();

  constructor(options: UdsListenerOptions, logger: Logger, onConnection: (socket: Socket) => void) {
    this.#options = options;
    this.#socketPath = new SocketPath(options.path, options, logger);
    this.#logger = logger;
    const connections = this.#connections;
    // All connections share this listener.
    function onClose(this: Socket): void {
      connections.delete(this);
    }
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      connections.add(socket);
      socket.on('close', onClose);
      onConnection(socket);
    });
  }

  /** @throws UsageError, StartupError one line that names `--uds-name` and the cure */
  async listen(): Promise<void> {
    const { path, shared } = this.#options;
    if (shared) {
      const at = { listener: 'frontend', flag: '--uds-name', port: 0, host: path, fd: shared.fd };
      await listen(this.#server, at, this.#logger);
      return;
    }
    try {
      await this.#socketPath.prepare((temporaryPath) => {
        this.#server.listen(temporaryPath);
        return once(this.#server, 'listening');
      });
      await this.#socketPath.publish();
    } catch (error) {
      this.#server.close();
      throw error;
    }
    this.#server.on('error', (error) => {
      this.#logger.warn({ path, detail: error.message }, 'accept failed');
    });
  }

  stop(): void {
    if (!this.#server.listening) return;
    const { shared } = this.#options;
    if (shared) shared.onStop();
    else this.#socketPath.release();
    this.#server.close();
  }

  destroyAll(): void {
    for (const socket of [...this.#connections]) socket.destroy();
  }
}
