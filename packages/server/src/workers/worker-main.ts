import { once } from 'node:events';
import type { Socket } from 'node:net';
import { textReply } from '@fairlead/runtime/admin';
import {
  createLog,
  exitFatal,
  letHeapGrow,
  type ProgramLog,
  StartupError,
} from '@fairlead/runtime/process';
import { assembleServer } from '../server.ts';
import type {
  FromWorker,
  ToWorker,
  WorkerQuestion,
  WorkerResources,
  WorkerStart,
} from './messages.ts';

/** How often a worker that waits until it is ready checks that. */
const READY_INTERVAL_MS = 100;
/** Intervals without a message of the primary after which a worker exits. */
const MAX_MISSED = 5;

/** Runs this process as a worker. It exits when its primary does. */
export async function runWorker(): Promise<void> {
  letHeapGrow();
  // A terminal and a service manager signal all processes of a group. The primary tells its workers what to do.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  const exit = () => process.exit(1);
  process.once('disconnect', exit);
  const [{ start }] = (await once(process, 'message')) as [{ start: WorkerStart }];
  process.title = `fairlead-server worker ${start.worker}`;
  const { logger, ...rest } = createLog(start.options);
  const log: ProgramLog = { ...rest, logger: logger.child({ worker: start.worker }) };
  process.off('disconnect', exit);
  process.on('disconnect', () => void exitFatal(log, new Error('the primary is gone'), 'primary'));
  process.on('uncaughtException', (err, origin) => void exitFatal(log, err, origin));
  try {
    // Node drops messages without a listener, and assembling a worker can take a while.
    const resources = { ...start, sockets: { ...start.sockets, uds: udsOf(start) } };
    const assembling = assembleServer(start.options, log.logger, resources).then(
      (server) => new Worker(start, log, server),
    );
    process.on('message', (message: ToWorker, socket?: Socket) =>
      assembling.then(
        (worker) => worker.onMessage(message, socket),
        () => {},
      ),
    );
    await (await assembling).serve();
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    const { message, exitCode } = error;
    tell({ type: 'failed', message, exitCode }, () => process.exit(exitCode));
  }
}

type AssembledServer = Awaited<ReturnType<typeof assembleServer>>;

/** One server of several: obeys its primary and answers its questions. */
class Worker {
  readonly #start: WorkerStart;
  readonly #log: ProgramLog;
  readonly #server: AssembledServer;
  #isFrontEndOpen = false;
  #isDraining = false;
  #missed = 0;

  constructor(start: WorkerStart, log: ProgramLog, server: AssembledServer) {
    this.#start = start;
    this.#log = log;
    this.#server = server;
  }

  /** @throws StartupError */
  async serve(): Promise<void> {
    const { waitsUntilReady, options } = this.#start;
    await this.#server.lifecycle.startWorker();
    if (waitsUntilReady) this.#openWhenReady();
    else await this.#openFrontEnd();
    setInterval(() => this.#checkPrimary(), options.workerTimeout / MAX_MISSED);
    tell({ type: 'started' });
  }

  onMessage(message: ToWorker, socket?: Socket): void {
    this.#missed = 0;
    switch (message.type) {
      case 'ping':
        tell({ type: 'pong' });
        break;
      case 'ask':
        void this.#answer(message.id, message.question);
        break;
      case 'agent':
        tell({ type: 'agentTaken', id: message.id });
        // Undefined if the agent has disconnected meanwhile.
        if (socket) this.#server.lifecycle.takeAgent(socket);
        break;
      case 'openFrontEnd':
        void this.#openFrontEnd();
        break;
      case 'reload':
        this.#log.reopen();
        this.#server.lifecycle.reload();
        break;
      case 'drain':
        if (message.isWatched) this.#server.readiness.noteProbe();
        void this.#drain();
        break;
    }
  }

  async #answer(id: number, question: WorkerQuestion): Promise<void> {
    tell({ type: 'answer', id, answer: await this.#answerTo(question) });
  }

  #answerTo(question: WorkerQuestion): unknown {
    const { readiness, registry, reports } = this.#server;
    switch (question.what) {
      case 'readiness':
        return {
          whyNotReady: question.isProbe ? readiness.whyNotReady() : readiness.reason,
          isFrontEndOpen: this.#isFrontEndOpen,
        };
      case 'metrics':
        return registry.getMetricsAsJSON();
      case 'report': {
        const { path, query } = question;
        return reports[path]?.(new URLSearchParams(query)) ?? textReply(404, 'no such report');
      }
    }
  }

  /** Before this worker has agents, it would refuse clients that other workers can serve. */
  #openWhenReady(): void {
    const timer = setInterval(() => {
      const isWaiting = !this.#isFrontEndOpen && !this.#isDraining;
      if (isWaiting && this.#server.readiness.reason !== undefined) return;
      clearInterval(timer);
      void this.#openFrontEnd();
    }, READY_INTERVAL_MS);
  }

  async #openFrontEnd(): Promise<void> {
    if (this.#isFrontEndOpen || this.#isDraining) return;
    this.#isFrontEndOpen = true;
    await this.#server.lifecycle.openFrontEnd();
    tell({ type: 'frontEndOpen' });
  }

  /** A worker without a primary would neither be replaced nor stopped. */
  #checkPrimary(): void {
    if (this.#missed++ < MAX_MISSED) return;
    void exitFatal(this.#log, new Error('the primary does not respond'), 'primary');
  }

  async #drain(): Promise<void> {
    if (this.#isDraining) return;
    this.#isDraining = true;
    try {
      await this.#server.lifecycle.drain();
    } catch (err) {
      await exitFatal(this.#log, err, 'drain');
    }
    await this.#log.close();
    process.exit(0);
  }
}

function udsOf({ sockets: { uds: fd } }: WorkerStart): WorkerResources['sockets']['uds'] {
  return fd === undefined ? undefined : { fd, onStop: () => tell({ type: 'udsStopped' }) };
}

function tell(message: FromWorker, onSent: () => void = () => {}): void {
  // After the primary has ended, 'disconnect' ends this process.
  if (process.connected) process.send?.(message, undefined, undefined, onSent);
}
