import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { type Logger, StartupError, UsageError } from '@fairlead/runtime/process';
import type {
  FromWorker,
  SharedSocketName,
  ToWorker,
  WorkerAnswers,
  WorkerQuestion,
  WorkerStart,
} from './messages.ts';
import { workerCommand } from './worker-command.ts';

export interface WorkerProcessOptions {
  readonly logger: Logger;
  /** Sockets of this process that the worker inherits. */
  readonly fds: Readonly<Record<SharedSocketName, number | undefined>>;
  readonly start: Omit<WorkerStart, 'sockets'>;
  /** The worker serves. */
  onStarted(): void;
  onUdsStopped(): void;
  /** The last call. */
  onEnd(end: WorkerEnd): void;
}

/** How a worker ended; code or signal is null. */
export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it did not start, if it said so. */
  readonly startError: StartupError | undefined;
  /** Whether it was killed because it gave no sign of life. */
  readonly wasSilent: boolean;
}

/** Behind stdin, stdout, stderr and the channel. */
const FIRST_INHERITED_FD = 4;
/** A worker that does not answer a question sooner is left out of the answer. */
const ANSWER_TIMEOUT_MS = 1_000;
/** A worker that has not started after this long never will. */
const START_TIMEOUT_MS = 30_000;
/** Looks at a worker without a sign of life after which it is given up. */
const MAX_MISSED = 5;

/** One worker as its primary sees it, from its birth to its end. */
export class WorkerProcess {
  readonly worker: number;
  readonly serverId: string;
  readonly startedAt = new Date();
  readonly #options: WorkerProcessOptions;
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, (answer: unknown) => void>();
  /** Connections of agents on their way to the worker. */
  readonly #handedOn = new Map<number, Socket>();
  readonly #startTimer: NodeJS.Timeout;
  #lastId = 0;
  #missed = 0;
  #isStarted = false;
  #isFrontEndOpen = false;
  #startError: StartupError | undefined;
  #wasSilent = false;
  #hasEnded = false;

  constructor(options: WorkerProcessOptions) {
    this.#options = options;
    const { fds, start } = options;
    this.worker = start.worker;
    this.serverId = start.options.serverId;
    const { file, args, argv0, env } = workerCommand(start.worker);
    const inherited = Object.entries(fds).filter(([, fd]) => fd !== undefined);
    this.#child = spawn(file, args, {
      argv0,
      env,
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...inherited.map(([, fd]) => fd)],
    });
    this.#startTimer = setTimeout(() => this.#giveUp('it does not start'), START_TIMEOUT_MS);
    this.#child.on('message', (message: FromWorker) => this.#onMessage(message));
    this.#child.on('error', (error) => {
      this.#startError ??= new StartupError(`a worker cannot be started: ${error.message}`);
      if (this.#child.pid === undefined) this.#onExit(1, null);
    });
    this.#child.on('exit', (code, signal) => {
      const end = () => this.#onExit(code, signal);
      // Its last words may still be on their way.
      if (this.#child.connected) this.#child.once('disconnect', end);
      else end();
    });
    const sockets = Object.fromEntries(
      inherited.map(([name], index) => [name, FIRST_INHERITED_FD + index]),
    ) as WorkerStart['sockets'];
    this.#send({ type: 'start', start: { ...start, sockets } });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Whether it serves agents. */
  get isStarted(): boolean {
    return this.#isStarted && !this.#hasEnded;
  }

  /** Whether clients can come to it. */
  get isFrontEndOpen(): boolean {
    return this.#isFrontEndOpen && !this.#hasEnded;
  }

  /** Whether it has answered the last sign of life that it was asked for. */
  get isResponsive(): boolean {
    return this.isStarted && this.#missed <= 1;
  }

  /**
   * Asks for a sign of life, and kills a worker that has left several such questions unanswered. Counted
   * instead of timed: when the whole machine was paused, the worker is given its chance.
   */
  checkLife(): void {
    if (!this.isStarted) return;
    if (this.#missed >= MAX_MISSED) {
      this.#giveUp('it gives no sign of life');
      return;
    }
    this.#missed++;
    this.#send({ type: 'ping' });
  }

  /** @returns undefined when the worker does not answer */
  async ask<W extends WorkerQuestion['what']>(
    question: WorkerQuestion & { readonly what: W },
    timeoutMs = ANSWER_TIMEOUT_MS,
  ): Promise<WorkerAnswers[W] | undefined> {
    if (!this.isStarted) return undefined;
    const id = ++this.#lastId;
    const answer = await new Promise<unknown>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs, undefined);
      this.#answers.set(id, (value) => {
        clearTimeout(timer);
        resolve(value);
      });
      this.#send({ type: 'ask', id, question });
    });
    this.#answers.delete(id);
    return answer as WorkerAnswers[W] | undefined;
  }

  /** Hands an agent's connection on. It stays open here too until the worker has it, and ends with the worker. */
  takeAgent(socket: Socket): void {
    const id = ++this.#lastId;
    this.#handedOn.set(id, socket);
    this.#send({ type: 'agent', id }, socket);
  }

  /** How many agents' connections it has not taken yet. */
  get pendingAgents(): number {
    return this.#handedOn.size;
  }

  openFrontEnd(): void {
    this.#send({ type: 'openFrontEnd' });
  }

  reload(): void {
    this.#send({ type: 'reload' });
  }

  drain(isWatched: boolean): void {
    this.#send({ type: 'drain', isWatched });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #onMessage(message: FromWorker): void {
    // Whatever it says, it is alive.
    this.#missed = 0;
    switch (message.type) {
      case 'started':
        clearTimeout(this.#startTimer);
        this.#isStarted = true;
        this.#options.onStarted();
        break;
      case 'failed': {
        const { message: text, exitCode } = message;
        this.#startError = exitCode === 2 ? new UsageError(text) : new StartupError(text);
        break;
      }
      case 'answer':
        this.#answers.get(message.id)?.(message.answer);
        break;
      case 'agentTaken':
        this.#handedOn.get(message.id)?.destroy();
        this.#handedOn.delete(message.id);
        break;
      case 'frontEndOpen':
        this.#isFrontEndOpen = true;
        break;
      case 'udsStopped':
        this.#options.onUdsStopped();
        break;
    }
  }

  #giveUp(reason: string): void {
    if (this.#wasSilent) return;
    this.#wasSilent = true;
    const { worker, pid } = this;
    this.#options.logger.error({ worker, pid, reason }, 'worker is killed');
    this.kill();
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#startTimer);
    for (const answer of this.#answers.values()) answer(undefined);
    // Nobody else may go on with them: the worker may have begun its handshake. The agents dial again.
    for (const socket of this.#handedOn.values()) socket.destroy();
    this.#handedOn.clear();
    this.#options.onEnd({
      code,
      signal,
      startError: this.#startError,
      wasSilent: this.#wasSilent,
    });
  }

  #send(message: ToWorker, socket?: Socket): void {
    if (!this.#child.connected) return;
    // Without a callback an error, which the end of the process explains, would be thrown.
    this.#child.send(message, socket, { keepOpen: true }, () => {});
  }
}
