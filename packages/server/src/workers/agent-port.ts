import { createServer, type Server, type Socket } from 'node:net';
import { listen } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import type { ServerOptions } from '../options.ts';
import type { WorkerProcess } from './worker-process.ts';

/** Connections on their way to workers. If there are more, new ones are closed, and their agents retry. */
const MAX_PENDING = 4096;

/**
 * The port that all agents share. It distributes connections round robin, so that an agent that connects again
 * and again soon has a tunnel to each worker.
 */
export class AgentPort {
  readonly #server: Server;
  readonly #workers: () => readonly WorkerProcess[];
  readonly #logger: Logger;
  #lastWorker = 0;

  /** @param workers the present workers, in any order */
  constructor(workers: () => readonly WorkerProcess[], logger: Logger) {
    this.#workers = workers;
    this.#logger = logger;
    this.#server = createServer({ pauseOnConnect: true }, (socket) => this.#onConnection(socket));
  }

  /** @throws StartupError */
  async listen({ agentPort: port, agentBindAddress: host }: ServerOptions): Promise<void> {
    const place = { listener: 'agent', flag: '--agent-port', port, host };
    await listen(this.#server, place, this.#logger);
  }

  stop(): void {
    this.#server.close();
  }

  #onConnection(socket: Socket): void {
    socket.on('error', () => {});
    const worker = this.#next();
    if (worker) worker.takeAgent(socket);
    else socket.destroy();
  }

  /** The next responsive worker. */
  #next(): WorkerProcess | undefined {
    const responsive = this.#workers().filter(({ isResponsive }) => isResponsive);
    const pending = responsive.reduce((sum, { pendingAgents }) => sum + pendingAgents, 0);
    if (pending >= MAX_PENDING) return undefined;
    const byNumber = responsive.toSorted((one, other) => one.worker - other.worker);
    const next = byNumber.find(({ worker }) => worker > this.#lastWorker) ?? byNumber[0];
    if (next) this.#lastWorker = next.worker;
    return next;
  }
}
