import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { type Logger, StartupError, UsageError } from '@fairlead/runtime/process';
import type {
  FromWorker,
  SharedFds,
  ToWorker,
  WorkerAnswers,
  WorkerQuestion,
  WorkerStart,
} from './messages.ts';
import { workerCommand } from './worker-command.ts';

export interface WorkerProcessOptions {
  readonly logger: Logger;
  /** Of this process; the worker inherits them. */
  readonly fds: SharedFds;
  readonly start: Omit<WorkerStart, 'sockets'>;
  onUdsStopped(): void;
  /** Called once, as the last callback. */
  onEnd(end: WorkerEnd): void;
}

/** How a worker process ended; either code or signal is null. */
export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not start, if it reported a reason. */
  readonly startError: StartupError | undefined;
  /** Whether it was killed because it did not respond. */
  readonly wasSilent: boolean;
}

/** The `how` label of a worker's end. */
export function howOf({ code, signal, startError, wasSilent }: WorkerEnd): string {
  if (wasSilent) return 'silent';
  if (startError) return 'not_started';
  return signal ?? `exit_${code}`;
}

/** After stdin, stdout, stderr and the IPC channel. */
const FIRST_INHERITED_FD = 4;
/** Reports omit a worker that takes longer to answer. */
const ANSWER_TIMEOUT_MS = 1_000;
/** A worker that takes longer to start is killed. */
const START_TIMEOUT_MS = 30_000;
/** A worker is killed after this many unanswered pings. */
const MAX_MISSED = 5;

/** The primary's view of one worker process, from its start to its end. */
export class WorkerProcess {
  readonly worker: number;
  readonly serverId: string;
  readonly startedAt = new Date();
  /** Resolves when it serves agents. Rejects with its StartupError, or with another error, if it ends before. */
  readonly started: Promise<void>;
  /** Whether it serves agents. */
  isStarted = false;
  /** Whether it accepts clients. */
  isFrontEndOpen = false;
  readonly #options: WorkerProcessOptions;
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, (answer: unknown) => void>();
  /** Agents' connections on their way to the worker. */
  readonly #pendingAgents = new Map<number, Socket>();
  readonly #startTimer: NodeJS.Timeout;
  #settleStart: (failed?: WorkerEnd) => void = () => {};
  #lastId = 0;
  #missed = 0;
  #startError: StartupError | undefined;
  #wasSilent = false;
  #hasEnded = false;

  constructor(options: WorkerProcessOptions) {
    this.#options = options;
    const { fds, start } = options;
    this.worker = start.worker;
    this.serverId = start.options.serverId;
    this.started = new Promise((resolve, reject) => {
      this.#settleStart = (failed) => {
        if (!failed) resolve();
        else reject(failed.startError ?? new Error(`a worker ended with ${howOf(failed)}`));
      };
    });
    // Nothing waits for a replacement.
    this.started.catch(() => {});
    const { file, args, argv0, env } = workerCommand(start.worker);
    const inherited = Object.entries(fds).filter(([, fd]) => fd !== undefined);
    this.#child = spawn(file, args, {
      argv0,
      env,
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...inherited.map(([, fd]) => fd)],
    });
    this.#startTimer = setTimeout(() => this.#killSilent('it does not start'), START_TIMEOUT_MS);
    this.#child.on('message', (message: FromWorker) => this.#onMessage(message));
    this.#child.on('error', (error) => {
      this.#startError ??= new StartupError(`a worker cannot be started: ${error.message}`);
      if (this.#child.pid === undefined) this.#onExit(1, null);
    });
    this.#child.on('exit', (code, signal) => {
      const end = () => this.#onExit(code, signal);
      // Its last messages may still arrive.
      if (this.#child.connected) this.#child.once('disconnect', end);
      else end();
    });
    const sockets = Object.fromEntries(
      inherited.map(([name], index) => [name, FIRST_INHERITED_FD + index]),
    ) as WorkerStart['sockets'];
    this.send({ type: 'start', start: { ...start, sockets } });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Whether at most one ping is unanswered. */
  get isResponsive(): boolean {
    return this.isStarted && this.#missed <= 1;
  }

  /**
   * Pings the worker, and kills it after several unanswered pings. They are counted instead of timed, so that a
   * worker survives a pause of the whole machine.
   */
  ping(): void {
    if (!this.isStarted) return;
    if (this.#missed >= MAX_MISSED) {
      this.#killSilent('it does not respond');
      return;
    }
    this.#missed++;
    this.send({ type: 'ping' });
  }

  /** @returns undefined if the worker does not answer */
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
      this.send({ type: 'ask', id, question });
    });
    this.#answers.delete(id);
    return answer as WorkerAnswers[W] | undefined;
  }

  /** Sends an agent's connection to the worker. It stays open here until the worker confirms it. */
  takeAgent(socket: Socket): void {
    const id = ++this.#lastId;
    this.#pendingAgents.set(id, socket);
    this.send({ type: 'agent', id }, socket);
  }

  /** Agents' connections that the worker has not confirmed yet. */
  get pendingAgents(): number {
    return this.#pendingAgents.size;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #onMessage(message: FromWorker): void {
    // Any message shows that the worker responds.
    this.#missed = 0;
    switch (message.type) {
      case 'started': {
        clearTimeout(this.#startTimer);
        this.isStarted = true;
        const { worker, serverId, pid } = this;
        this.#options.logger.info({ worker, serverId, pid }, 'worker started');
        this.#settleStart();
        break;
      }
      case 'failed': {
        const { message: text, exitCode } = message;
        this.#startError = exitCode === 2 ? new UsageError(text) : new StartupError(text);
        break;
      }
      case 'answer':
        this.#answers.get(message.id)?.(message.answer);
        break;
      case 'agentTaken':
        this.#pendingAgents.get(message.id)?.destroy();
        this.#pendingAgents.delete(message.id);
        break;
      case 'frontEndOpen':
        this.isFrontEndOpen = true;
        break;
      case 'udsStopped':
        this.#options.onUdsStopped();
        break;
    }
  }

  #killSilent(reason: string): void {
    if (this.#wasSilent) return;
    this.#wasSilent = true;
    const { worker, pid } = this;
    this.#options.logger.error({ worker, pid, reason }, 'worker is killed');
    this.kill();
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.isStarted = false;
    this.isFrontEndOpen = false;
    clearTimeout(this.#startTimer);
    for (const answer of this.#answers.values()) answer(undefined);
    // The worker may have begun their handshakes, so no other process can use them. The agents retry.
    for (const socket of this.#pendingAgents.values()) socket.destroy();
    this.#pendingAgents.clear();
    const end = { code, signal, startError: this.#startError, wasSilent: this.#wasSilent };
    this.#options.onEnd(end);
    this.#settleStart(end);
  }

  /** Does nothing if the worker has ended. */
  send(message: ToWorker, socket?: Socket): void {
    if (!this.#child.connected) return;
    // Without a callback, Node would throw the error that the end of the process causes.
    this.#child.send(message, socket, { keepOpen: true }, () => {});
  }
}
