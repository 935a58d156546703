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
import type { FromWorker, ToWorker, WorkerQuestion, WorkerStart } from './messages.ts';

/** How often a worker that holds back looks whether it is ready. */
const READY_INTERVAL_MS = 100;
/** Looks without a word of the primary after which it is given up; as many as it gives a worker. */
const MAX_MISSED = 5;

/** Runs this process as a worker of the one that started it, and ends with it. */
export async function runWorker(): Promise<void> {
  letHeapGrow();
  // A terminal and a service manager signal every process of a group; what follows is the primary's business.
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
    // A message without a listener is lost, and the parts of a worker may take a while to load.
    const assembling = Worker.assemble(start, log);
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

/** One server of several: does as the primary says, and answers its questions. */
class Worker {
  readonly #start: WorkerStart;
  readonly #log: ProgramLog;
  readonly #server: AssembledServer;
  #isFrontEndOpen = false;
  #isDraining = false;
  #missed = 0;

  private constructor(start: WorkerStart, log: ProgramLog, server: AssembledServer) {
    this.#start = start;
    this.#log = log;
    this.#server = server;
  }

  /** @throws UsageError */
  static async assemble(start: WorkerStart, log: ProgramLog): Promise<Worker> {
    const { frontEnd, uds, agent } = start.sockets;
    const onStop = () => tell({ type: 'udsStopped' });
    const server = await assembleServer(start.options, log.logger, {
      sockets: { frontEnd, uds: uds === undefined ? undefined : { fd: uds, onStop }, agent },
      ticketSecret: start.ticketSecret,
      fellows: start.fellows,
    });
    return new Worker(start, log, server);
  }

  /** Opens what is this worker's to open. @throws StartupError */
  async serve(): Promise<void> {
    const { holdsBack, options } = this.#start;
    await this.#server.worker.start();
    if (holdsBack) this.#openWhenReady();
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
        // None when the agent went away meanwhile.
        if (socket) this.#server.worker.takeAgent(socket);
        break;
      case 'openFrontEnd':
        void this.#openFrontEnd();
        break;
      case 'reload':
        this.#log.reopen();
        this.#server.reload();
        break;
      case 'drain':
        if (message.isWatched) this.#server.worker.readiness.noteWatcher();
        void this.#drain();
        break;
    }
  }

  async #answer(id: number, question: WorkerQuestion): Promise<void> {
    tell({ type: 'answer', id, answer: await this.#answerTo(question) });
  }

  #answerTo(question: WorkerQuestion): unknown {
    const { readiness, registry, reports } = this.#server.worker;
    switch (question.what) {
      case 'readiness':
        return {
          whyNotReady: question.decides ? readiness.whyNotReady() : readiness.reason,
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

  /** Clients that came before this worker's agents would be refused, though other workers could serve them. */
  #openWhenReady(): void {
    const timer = setInterval(() => {
      if (
        !this.#isFrontEndOpen &&
        !this.#isDraining &&
        this.#server.worker.readiness.reason !== undefined
      )
        return;
      clearInterval(timer);
      void this.#openFrontEnd();
    }, READY_INTERVAL_MS);
  }

  async #openFrontEnd(): Promise<void> {
    if (this.#isFrontEndOpen || this.#isDraining) return;
    this.#isFrontEndOpen = true;
    await this.#server.worker.openFrontEnd();
    tell({ type: 'frontEndOpen' });
  }

  /** Whether there still is somebody who would replace this process, or end it. */
  #checkPrimary(): void {
    if (this.#missed++ < MAX_MISSED) return;
    void exitFatal(this.#log, new Error('the primary gives no sign of life'), 'primary');
  }

  async #drain(): Promise<void> {
    if (this.#isDraining) return;
    this.#isDraining = true;
    try {
      await this.#server.drain();
    } catch (err) {
      await exitFatal(this.#log, err, 'drain');
    }
    await this.#log.close();
    process.exit(0);
  }
}

function tell(message: FromWorker, onSent: () => void = () => {}): void {
  // The end of the primary is told by 'disconnect'.
  if (process.connected) process.send?.(message, undefined, undefined, onSent);
}
