import { Backoff } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import type { WorkerEnd, WorkerProcess } from './worker-process.ts';

/** The first pause before a replacement is one to two of these, each further one twice as long. */
const FIRST_PAUSE_MS = 100;
/** A worker that lived this long has not failed for the reason of the one before. */
const LASTING_MS = 60_000;

export interface WorkerSlotOptions {
  readonly worker: number;
  readonly logger: Logger;
  /** Starts a process; its end is told to the slot. */
  spawn(slot: WorkerSlot): WorkerProcess;
}

/** The place of one worker: who has it now, and who gets it next. */
export class WorkerSlot {
  readonly worker: number;
  readonly #options: WorkerSlotOptions;
  readonly #backoff = new Backoff({ minMs: FIRST_PAUSE_MS });
  #process: WorkerProcess | undefined;
  #replacements = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  readonly #onEmpty = new Set<() => void>();

  constructor(options: WorkerSlotOptions) {
    this.worker = options.worker;
    this.#options = options;
  }

  get process(): WorkerProcess | undefined {
    return this.#process;
  }

  get replacements(): number {
    return this.#replacements;
  }

  /** Starts the worker. */
  fill(): void {
    this.#process = this.#options.spawn(this);
  }

  /** The process has ended: another one takes its place, the later the more often that happens. */
  onEnd({ code, signal, startError, wasSilent }: WorkerEnd): void {
    const { worker } = this;
    const { pid, startedAt } = this.#process!;
    this.#process = undefined;
    for (const onEmpty of this.#onEmpty) onEmpty();
    if (this.#isClosed) return;
    if (Date.now() - startedAt.getTime() >= LASTING_MS) this.#backoff.reset();
    const waitMs = Math.round(this.#backoff.next());
    const fields = { worker, pid, code, signal, wasSilent, detail: startError?.message, waitMs };
    this.#options.logger.error(fields, 'worker has ended and is replaced');
    this.#timer = setTimeout(() => {
      this.#replacements++;
      this.fill();
    }, waitMs);
  }

  /** Lets nobody follow. Resolves when the process there has ended. */
  close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    return new Promise((resolve) => {
      if (this.#process) this.#onEmpty.add(resolve);
      else resolve();
    });
  }
}
