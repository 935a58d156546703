import { Backoff } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import type { WorkerEnd, WorkerProcess } from './worker-process.ts';

/** The first backoff before a replacement is one to two of these, each further one twice as long. */
const FIRST_PAUSE_MS = 100;
/** After this lifetime, an end is not counted as a repeated failure. */
const LASTING_MS = 60_000;

/** One of the `--workers` slots: starts its worker process and replaces it when it ends. */
export class WorkerSlot {
  readonly worker: number;
  readonly #logger: Logger;
  readonly #spawn: (slot: WorkerSlot) => WorkerProcess;
  readonly #backoff = new Backoff({ minMs: FIRST_PAUSE_MS });
  process: WorkerProcess | undefined;
  replacements = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  readonly #onEmpty = new Set<() => void>();

  /** @param spawn starts a process, and calls the slot's `onEnd` when the process ends */
  constructor(worker: number, logger: Logger, spawn: (slot: WorkerSlot) => WorkerProcess) {
    this.worker = worker;
    this.#logger = logger;
    this.#spawn = spawn;
  }

  start(): void {
    this.process = this.#spawn(this);
  }

  /** Replaces a process that has ended, after a backoff. */
  onEnd({ code, signal, startError, wasSilent }: WorkerEnd): void {
    const { worker } = this;
    const { pid, startedAt } = this.process!;
    this.process = undefined;
    for (const onEmpty of this.#onEmpty) onEmpty();
    if (this.#isClosed) return;
    if (Date.now() - startedAt.getTime() >= LASTING_MS) this.#backoff.reset();
    const waitMs = Math.round(this.#backoff.next());
    const fields = { worker, pid, code, signal, wasSilent, detail: startError?.message, waitMs };
    this.#logger.error(fields, 'worker has ended and is replaced');
    this.#timer = setTimeout(() => {
      this.replacements++;
      this.start();
    }, waitMs);
  }

  /** Starts no further process; resolves when the present one has ended. */
  close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    return new Promise((resolve) => {
      if (this.process) this.#onEmpty.add(resolve);
      else resolve();
    });
  }
}
