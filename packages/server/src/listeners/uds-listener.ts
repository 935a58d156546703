import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { listen } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import { SocketPath, type SocketPathOptions } from './socket-path.ts';

export interface UdsListenerOptions extends SocketPathOptions {
  readonly path: string;
  /** How often the path is checked. */
  readonly checkIntervalMs: number;
  /** A socket that another process has made at the path, checks and removes. */
  readonly shared?: { readonly fd: number; onStop(): void } | undefined;
}

/** A Unix domain socket. Only the socket file that this process made is ever removed. */
export class UdsListener {
  readonly #options: UdsListenerOptions;
  readonly #socketPath: SocketPath;
  readonly #logger: Logger;
  readonly #onConnection: (socket: Socket) => void;
  readonly #connections = new Set<Socket>();
  #server: Server;
  #checkTimer: NodeJS.Timeout | undefined;
  #isChecking = false;
  #isStopped = false;
  #fault: string | undefined;

  constructor(options: UdsListenerOptions, logger: Logger, onConnection: (socket: Socket) => void) {
    this.#options = options;
    this.#socketPath = new SocketPath(options.path, options, logger);
    this.#logger = logger;
    const connections = this.#connections;
    // All connections share this listener.
    function onClose(this: Socket): void {
      connections.delete(this);
    }
    this.#onConnection = (socket) => {
      connections.add(socket);
      socket.on('close', onClose);
      onConnection(socket);
    };
    this.#server = this.#createServer();
  }

  /** Why clients cannot connect; undefined if they can. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** @throws UsageError, StartupError one line that names `--uds-name` and the cure */
  async listen(): Promise<void> {
    const { path, shared, checkIntervalMs } = this.#options;
    if (shared) {
      const at = { listener: 'frontend', flag: '--uds-name', port: 0, host: path, fd: shared.fd };
      await listen(this.#server, at, this.#logger);
      return;
    }
    await this.#publish(this.#server);
    this.#checkTimer = setInterval(() => void this.check(), checkIntervalMs).unref();
  }

  /** Looks whether clients still find the socket at its path. If it is gone, a new one is made. */
  async check(): Promise<void> {
    if (!this.#checkTimer || this.#isChecking) return;
    if (this.#socketPath.isOurs) {
      this.#fault = undefined;
      return;
    }
    this.#isChecking = true;
    await this.#replace();
    this.#isChecking = false;
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#checkTimer);
    if (!this.#server.listening) return;
    const { shared } = this.#options;
    if (shared) shared.onStop();
    else this.#socketPath.release();
    this.#server.close();
  }

  destroyAll(): void {
    for (const socket of [...this.#connections]) socket.destroy();
  }

  #createServer(): Server {
    return createServer({ allowHalfOpen: true }, this.#onConnection);
  }

  async #publish(server: Server): Promise<void> {
    const { path } = this.#options;
    try {
      await this.#socketPath.prepare((temporaryPath) => {
        server.listen(temporaryPath);
        return once(server, 'listening');
      });
      await this.#socketPath.publish();
    } catch (error) {
      server.close();
      throw error;
    }
    server.on('error', (error) => {
      this.#logger.warn({ path, detail: error.message }, 'accept failed');
    });
  }

  /** Clients that are connected to the old socket stay connected. */
  async #replace(): Promise<void> {
    const { path } = this.#options;
    const server = this.#createServer();
    try {
      await this.#publish(server);
    } catch (error) {
      this.#onFault((error as Error).message);
      return;
    }
    if (this.#isStopped) {
      this.#socketPath.release();
      server.close();
      return;
    }
    this.#server.close();
    this.#server = server;
    this.#fault = undefined;
    this.#logger.warn({ path }, 'the socket was gone from its path and was made again');
  }

  #onFault(detail: string): void {
    if (this.#fault === undefined) {
      this.#logger.error({ path: this.#options.path, detail }, 'clients cannot reach the socket');
    }
    this.#fault = detail;
  }
}
