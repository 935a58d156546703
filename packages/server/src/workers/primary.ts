import { randomBytes } from 'node:crypto';
import { type AdminRoutes, HttpAdmin, healthRoutes, metricsRoutes } from '@fairlead/runtime/admin';
import type { HostPort } from '@fairlead/runtime/net';
import type { Logger, RunningProgram } from '@fairlead/runtime/process';
import { Counter, Gauge, Registry } from 'prom-client';
import { RECENTLY_MS } from '../admin/readiness.ts';
import type { WorkerStatus } from '../admin/status.ts';
import { type ServerOptions, workerServerId } from '../options.ts';
import { AgentDoor } from './agent-port.ts';
import { MergedMetrics } from './merged-metrics.ts';
import { mergeStatus, mergeWhy, type WorkerReply } from './merged-reports.ts';
import { SharedPorts } from './shared-ports.ts';
import { type WorkerEnd, WorkerProcess } from './worker-process.ts';
import { WorkerSlot } from './worker-slot.ts';

const TICKET_SECRET_BYTES = 48;
/** Signs of life that a worker is asked for within `--worker-timeout`. */
const LOOKS_PER_TIMEOUT = 5;
/** Kubernetes gives a probe one second. */
const PROBE_TIMEOUT_MS = 500;
/** Beyond `--graceful-shutdown-timeout`, for workers to close their tunnels and write their logs. */
const LAST_WORDS_MS = 5_000;

/**
 * Starts `--workers` servers in processes of their own, and keeps them running. This process owns the ports and
 * answers for all on health and admin port; it sees no byte of any stream.
 *
 * @throws UsageError, StartupError for what keeps this process or the first workers from starting
 */
export async function startWorkers(
  options: ServerOptions,
  logger: Logger,
): Promise<RunningProgram> {
  const primary = new Primary(options, logger);
  await primary.start();
  return primary;
}

class Primary implements RunningProgram {
  readonly #options: ServerOptions;
  readonly #logger: Logger;
  readonly #ticketSecret = randomBytes(TICKET_SECRET_BYTES);
  readonly #ports: SharedPorts;
  readonly #door: AgentDoor;
  readonly #slots: readonly WorkerSlot[];
  readonly #health: HttpAdmin;
  readonly #admin: HttpAdmin;
  readonly #registry = new Registry();
  readonly #metrics = new MergedMetrics(this.#registry);
  readonly #ends = new Counter({
    name: 'fairlead_server_worker_ends_total',
    help: 'Workers that ended though nobody asked them to, by how',
    labelNames: ['how'],
    registers: [this.#registry],
  });
  #heartbeat: NodeJS.Timeout | undefined;
  /** While the first workers start: told of each that serves, or has failed. */
  #onFirst: ((failed: WorkerEnd | undefined) => void) | undefined;
  #isUp = false;
  /** When somebody last asked for readiness. */
  #askedAtMs = -Infinity;
  #isDraining = false;

  constructor(options: ServerOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
    this.#ports = new SharedPorts(logger);
    this.#door = new AgentDoor(() => this.#workers, logger);
    this.#slots = Array.from(
      { length: options.workers },
      (_, index) =>
        new WorkerSlot({ worker: index + 1, logger, spawn: (slot) => this.#spawn(slot) }),
    );
    const workers = () => this.#workers.filter(({ isStarted }) => isStarted).length;
    new Gauge({
      name: 'fairlead_server_workers',
      help: 'Workers that serve agents',
      registers: [this.#registry],
      collect() {
        this.set(workers());
      },
    });
    const metrics = metricsRoutes({
      contentType: this.#metrics.contentType,
      metrics: () => this.#collectMetrics(),
    });
    this.#health = new HttpAdmin(
      { ...healthRoutes(() => this.#whyNotReady(), 500), ...metrics },
      logger,
    );
    this.#admin = new HttpAdmin({ ...metrics, ...this.#reportRoutes() }, logger);
  }

  async start(): Promise<void> {
    const { agentPort, agentBindAddress, healthPort, healthBindAddress } = this.#options;
    const { adminPort, adminBindAddress, workerTimeout } = this.#options;
    // However this process ends, no worker is left behind.
    process.once('exit', () => {
      for (const worker of this.#workers) worker.kill();
    });
    try {
      await this.#health.listen({
        listener: 'health',
        flag: '--health-port',
        port: healthPort,
        host: healthBindAddress,
      });
      await this.#admin.listen({
        listener: 'admin',
        flag: '--admin-port',
        port: adminPort,
        host: adminBindAddress,
      });
      await this.#ports.bind(this.#options);
      await this.#startFirst();
      await this.#door.listen({
        listener: 'agent',
        flag: '--agent-port',
        port: agentPort,
        host: agentBindAddress,
      });
      await this.#ports.publish();
    } catch (error) {
      this.#ports.releaseUds();
      this.#ports.close();
      await this.#end();
      throw error;
    }
    this.#isUp = true;
    this.#heartbeat = setInterval(() => {
      for (const worker of this.#workers) worker.checkLife();
    }, workerTimeout / LOOKS_PER_TIMEOUT);
  }

  reload(): void {
    for (const worker of this.#workers) worker.reload();
  }

  async drain(): Promise<void> {
    this.#isDraining = true;
    this.#door.stop();
    this.#ports.close();
    const ended = Promise.all(this.#slots.map((slot) => slot.close()));
    const isWatched = performance.now() - this.#askedAtMs < RECENTLY_MS;
    for (const worker of this.#workers) worker.drain(isWatched);
    const timer = setTimeout(() => {
      for (const worker of this.#workers) worker.kill();
    }, this.#options.gracefulShutdownTimeout + LAST_WORDS_MS);
    await ended;
    clearTimeout(timer);
    await this.#end();
  }

  /** Ends what is left, at once. */
  async #end(): Promise<void> {
    clearInterval(this.#heartbeat);
    const ended = Promise.all(this.#slots.map((slot) => slot.close()));
    for (const worker of this.#workers) worker.kill();
    await ended;
    this.#door.stop();
    this.#ports.releaseUds();
    await Promise.all([this.#health.close(), this.#admin.close()]);
  }

  get #workers(): WorkerProcess[] {
    return this.#slots.flatMap(({ process: worker }) => worker ?? []);
  }

  /** Resolves when all serve. @throws StartupError why one of them cannot */
  async #startFirst(): Promise<void> {
    const { length } = this.#slots;
    await new Promise<void>((resolve, reject) => {
      let left = length;
      this.#onFirst = (failed) => {
        if (failed) reject(failed.startError ?? new Error(`a worker ended with ${howOf(failed)}`));
        else if (--left === 0) resolve();
      };
      for (const slot of this.#slots) slot.fill();
    }).finally(() => {
      this.#onFirst = undefined;
    });
  }

  #spawn(slot: WorkerSlot): WorkerProcess {
    const { worker } = slot;
    const started: WorkerProcess = new WorkerProcess({
      logger: this.#logger,
      fds: this.#ports.fdsOf(worker),
      start: {
        worker,
        options: this.#optionsOf(worker),
        ticketSecret: this.#ticketSecret,
        fellows: this.#fellows,
        holdsBack: this.#workers.some(({ isFrontEndOpen }) => isFrontEndOpen),
      },
      onStarted: () => {
        const { serverId, pid } = started;
        this.#logger.info({ worker, serverId, pid }, 'worker started');
        this.#onFirst?.(undefined);
      },
      onUdsStopped: () => this.#ports.releaseUds(),
      onEnd: (end) => {
        this.#metrics.retire(worker);
        if (!this.#isDraining) this.#ends.inc({ how: howOf(end) });
        // Before all have started, the end of one is the end of the program.
        if (!this.#isUp) void slot.close();
        slot.onEnd(end);
        this.#onFirst?.(end);
        this.#openSomeFrontEnd();
      },
    });
    return started;
  }

  /** A worker that waits for its agents waits in vain for others when there are none. */
  #openSomeFrontEnd(): void {
    if (this.#isDraining || this.#workers.some(({ isFrontEndOpen }) => isFrontEndOpen)) return;
    for (const worker of this.#workers) worker.openFrontEnd();
  }

  /** Of the server that a worker is. */
  #optionsOf(worker: number): ServerOptions {
    const options = this.#options;
    const { workers, serverId, serverCount, maxTunnelWindow, maxStreamWindow } = options;
    // The memory is the machine's; all other limits are each worker's own.
    const maxProcessWindow = Math.ceil(options.maxProcessWindow / workers);
    return {
      ...options,
      workers: 1,
      serverId: workerServerId(serverId, worker),
      serverCount: serverCount * workers,
      advertiseAgentAddress: this.#fellows[worker - 1],
      maxProcessWindow,
      maxTunnelWindow: Math.min(maxTunnelWindow, maxProcessWindow),
      maxStreamWindow: Math.min(maxStreamWindow, maxProcessWindow),
    };
  }

  /** Where agents reach each worker, in the order of workers. */
  get #fellows(): HostPort[] {
    const host = this.#options.advertiseAgentAddress?.host;
    return host === undefined ? [] : this.#ports.agentPorts.map((port) => ({ host, port }));
  }

  /** Ready when all workers to whom clients can come are. Who is frozen, or still waits for agents, gets none. */
  async #whyNotReady(): Promise<string | undefined> {
    this.#askedAtMs = performance.now();
    if (this.#isDraining) return 'the server is draining';
    const answers = await Promise.all(
      this.#workers
        .filter(({ isResponsive }) => isResponsive)
        .map(async (process) => ({
          worker: process.worker,
          answer: await process.ask({ what: 'readiness', decides: true }, PROBE_TIMEOUT_MS),
        })),
    );
    const open = answers.filter(({ answer }) => answer?.isFrontEndOpen);
    if (open.length === 0) return 'no worker serves clients';
    const unready = open.find(({ answer }) => answer?.whyNotReady !== undefined);
    return unready && `worker ${unready.worker}: ${unready.answer?.whyNotReady}`;
  }

  async #collectMetrics(): Promise<string> {
    await Promise.all(
      this.#workers.map(async (process) => {
        const metrics = await process.ask({ what: 'metrics' });
        if (metrics && process.isStarted) this.#metrics.update(process.worker, metrics);
      }),
    );
    return this.#metrics.metrics();
  }

  #reportRoutes(): AdminRoutes {
    const { serverId } = this.#options;
    return {
      '/api/v1/status': async (query) => {
        const [workers, replies] = await Promise.all([
          Promise.all(this.#slots.map((slot) => statusOf(slot, serverId))),
          this.#report('/api/v1/status', query),
        ]);
        return mergeStatus(serverId, workers, replies);
      },
      '/api/v1/why': async (query) => mergeWhy(await this.#report('/api/v1/why', query)),
    };
  }

  async #report(path: string, query: URLSearchParams): Promise<WorkerReply[]> {
    const question = { what: 'report', path, query: query.toString() } as const;
    const replies = await Promise.all(
      this.#workers.map(async (process) => {
        const reply = await process.ask(question);
        return reply ? [{ worker: process.worker, reply }] : [];
      }),
    );
    return replies.flat();
  }
}

async function statusOf(slot: WorkerSlot, serverId: string): Promise<WorkerStatus> {
  const { worker, process, replacements } = slot;
  const answer = await process?.ask({ what: 'readiness', decides: false });
  const reason = answer?.whyNotReady;
  const state = answer
    ? reason === undefined
      ? 'ready'
      : 'not ready'
    : process === undefined
      ? 'ended'
      : process.isStarted
        ? 'no answer'
        : 'starting';
  return {
    worker,
    serverId: workerServerId(serverId, worker),
    pid: process?.pid ?? null,
    startedAt: process?.startedAt.toISOString() ?? null,
    replacements,
    state,
    ...(reason !== undefined && { reason }),
  };
}

/** In metrics. */
function howOf({ code, signal, startError, wasSilent }: WorkerEnd): string {
  if (wasSilent) return 'silent';
  if (startError) return 'not_started';
  return signal ?? `exit_${code}`;
}
