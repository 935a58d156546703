import { createServer, type Server, type Socket } from 'node:net';
import { type ListenPlace, listen } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import type { WorkerProcess } from './worker-process.ts';

/** Connections on their way to workers; beyond, new ones are closed, and their agents come again. */
const MAX_PENDING = 4096;

/**
 * The port that all agents share. The workers get its connections in turns, so that an agent which dials again
 * until it holds a tunnel to each of them is not left to luck.
 */
export class AgentDoor {
  readonly #server: Server;
  readonly #workers: () => readonly WorkerProcess[];
  readonly #logger: Logger;
  #lastWorker = 0;

  /** @param workers those that exist, in any order */
  constructor(workers: () => readonly WorkerProcess[], logger: Logger) {
    this.#workers = workers;
    this.#logger = logger;
    this.#server = createServer({ pauseOnConnect: true }, (socket) => this.#onConnection(socket));
  }

  /** @throws StartupError */
  async listen(place: ListenPlace): Promise<void> {
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

  /** The one whose turn it is, among those that are well. */
  #next(): WorkerProcess | undefined {
    const well = this.#workers().filter(({ isResponsive }) => isResponsive);
    const pending = well.reduce((sum, { pendingAgents }) => sum + pendingAgents, 0);
    if (pending >= MAX_PENDING) return undefined;
    const numbers = well.toSorted((one, other) => one.worker - other.worker);
    const next = numbers.find(({ worker }) => worker > this.#lastWorker) ?? numbers[0];
    if (next) this.#lastWorker = next.worker;
    return next;
  }
}
