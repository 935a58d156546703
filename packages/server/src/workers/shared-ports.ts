import { logListening } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import { SocketPath } from '../listeners/socket-path.ts';
import { frontEndPort } from '../options/front-end-options.ts';
import { workerAgentPorts } from '../options/worker-options.ts';
import type { ServerOptions } from '../options.ts';
import { type BoundSocket, bindTcp, bindUds } from './bound-socket.ts';
import type { SharedFds } from './messages.ts';

/**
 * The sockets that the primary binds and on which its workers listen. They outlive each worker: ports stay the
 * same, and clients that connect while a worker is replaced wait for its replacement.
 */
export class SharedPorts {
  readonly #logger: Logger;
  #frontEnd: Awaited<ReturnType<typeof bindTcp>> | undefined;
  #uds: { readonly socket: BoundSocket; readonly socketPath: SocketPath } | undefined;
  /** In the order of workers; empty without --advertise-agent-address. */
  readonly #agents: Awaited<ReturnType<typeof bindTcp>>[] = [];
  #checkTimer: NodeJS.Timeout | undefined;
  #fault: string | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @throws UsageError, StartupError naming flag, address and reason */
  async bind(options: ServerOptions): Promise<void> {
    const { udsName: path, udsTakeover: takeover, deleteExistingUdsFile: deleteExisting } = options;
    if (path !== undefined) {
      const socketPath = new SocketPath(path, { takeover, deleteExisting }, this.#logger);
      await socketPath.prepare(async (temporaryPath) => {
        this.#uds = { socket: await bindUds(temporaryPath), socketPath };
      });
    }
    const port = frontEndPort(options);
    const host = options.serverBindAddress;
    if (port !== undefined) {
      const place = { listener: 'frontend', flag: '--server-port', port, host };
      this.#frontEnd = await bindTcp(place);
    }
    for (const { name, port, address } of workerAgentPorts(options)) {
      const place = { listener: 'worker-agent', flag: `--${name}`, port, host: address };
      this.#agents.push(await bindTcp(place));
    }
  }

  fdsOf(worker: number): SharedFds {
    return {
      frontEnd: this.#frontEnd?.fd,
      uds: this.#uds?.socket.fd,
      agent: this.#agents[worker - 1]?.fd,
    };
  }

  /** The port of each worker for agents, in the order of workers. */
  get agentPorts(): readonly number[] {
    return this.#agents.map(({ address }) => address.port);
  }

  /** Why clients cannot connect; undefined if they can. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Looks whether clients still find the Unix domain socket. Workers cannot change to a new one. */
  check(): void {
    if (!this.#checkTimer) return;
    const { path, isOurs } = this.#uds!.socketPath;
    const detail = `--uds-name ${path}: the socket is gone; restart the server`;
    if (!isOurs && !this.#fault)
      this.#logger.error({ path, detail }, 'clients cannot reach the socket');
    this.#fault = isOurs ? undefined : detail;
  }

  /** Shows the socket path and logs the ports, once the workers listen. @throws StartupError */
  async publish(checkIntervalMs: number): Promise<void> {
    if (this.#uds) {
      await this.#uds.socketPath.publish();
      this.#checkTimer = setInterval(() => this.check(), checkIntervalMs).unref();
    }
    if (this.#frontEnd) {
      const { address, port } = this.#frontEnd.address;
      logListening(this.#logger, 'frontend', { address, port });
    }
    for (const [index, socket] of this.#agents.entries()) {
      const { address, port } = socket.address;
      const logger = this.#logger.child({ worker: index + 1 });
      logListening(logger, 'worker-agent', { address, port });
    }
  }

  /** Closes the sockets in this process. Clients can connect until the last worker closes them too. */
  close(): void {
    for (const socket of [this.#frontEnd, this.#uds?.socket, ...this.#agents]) socket?.close();
  }

  /** Removes the Unix domain socket's path if it still belongs to this process. */
  releaseUds(): void {
    clearInterval(this.#checkTimer);
    this.#checkTimer = undefined;
    this.#uds?.socketPath.release();
  }
}
