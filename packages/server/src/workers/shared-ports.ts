import { type ListenPlace, logListening } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import { SocketPath } from '../listeners/socket-path.ts';
import { frontEndPort, type ServerOptions, workerAgentPorts } from '../options.ts';
import { type BoundSocket, bindTcp, bindUds } from './bound-socket.ts';
import type { SharedSocketName } from './messages.ts';

type TcpSocket = Awaited<ReturnType<typeof bindTcp>>;

/**
 * The sockets that belong to the primary and on which workers listen. They outlive each worker: a port stays
 * the same, and who comes while a worker is replaced waits for the next.
 */
export class SharedPorts {
  readonly #logger: Logger;
  #frontEnd: TcpSocket | undefined;
  #uds: { readonly socket: BoundSocket; readonly socketPath: SocketPath } | undefined;
  /** By worker, from the first on; empty when agents are not told of them. */
  readonly #agents: TcpSocket[] = [];

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
      this.#frontEnd = await bindTcp(placeOf('frontend', '--server-port', port, host));
    }
    for (const { name, port, address } of workerAgentPorts(options)) {
      this.#agents.push(await bindTcp(placeOf('worker-agent', `--${name}`, port, address)));
    }
  }

  /** The file descriptors for a worker. */
  fdsOf(worker: number): Readonly<Record<SharedSocketName, number | undefined>> {
    return {
      frontEnd: this.#frontEnd?.fd,
      uds: this.#uds?.socket.fd,
      agent: this.#agents[worker - 1]?.fd,
    };
  }

  /** The port at which agents reach each worker alone, in the order of workers. */
  get agentPorts(): readonly number[] {
    return this.#agents.map(({ address }) => address.port);
  }

  /** The workers listen: clients may know. @throws StartupError */
  async publish(): Promise<void> {
    await this.#uds?.socketPath.publish();
    if (this.#frontEnd) {
      const { address, port } = this.#frontEnd.address;
      logListening(this.#logger, 'frontend', { address, port });
    }
    for (const [index, { address }] of this.#agents.entries()) {
      const { address: host, port } = address;
      const logger = this.#logger.child({ worker: index + 1 });
      logListening(logger, 'worker-agent', { address: host, port });
    }
  }

  /** Lets go of the sockets: when the last worker does the same, nobody can connect any more. */
  close(): void {
    for (const socket of [this.#frontEnd, this.#uds?.socket, ...this.#agents]) socket?.close();
  }

  /** Removes the path of the Unix domain socket, if it is still ours. */
  releaseUds(): void {
    this.#uds?.socketPath.release();
  }
}

function placeOf(
  listener: string,
  flag: string,
  port: number,
  host: string | undefined,
): ListenPlace {
  return { listener, flag, port, host };
}
