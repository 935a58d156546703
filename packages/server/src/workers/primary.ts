import { randomBytes } from 'node:crypto';
import type { AdminPorts, AdminRoutes } from '@fairlead/runtime/admin';
import type { HostPort } from '@fairlead/runtime/net';
import type { Logger, RunningProgram } from '@fairlead/runtime/process';
import { Counter, Gauge, Registry } from 'prom-client';
import { createAdminPorts } from '../admin/admin-ports.ts';
import { PROBE_MEMORY_MS } from '../admin/readiness.ts';
import type { WorkerStatus } from '../admin/status.ts';
import { workerServerId } from '../options/worker-options.ts';
import type { ServerOptions } from '../options.ts';
import { AgentPort } from './agent-port.ts';
import { MergedMetrics } from './merged-metrics.ts';
import { mergeStatus, mergeWhy, type WorkerReply } from './merged-reports.ts';
import { SharedPorts } from './shared-ports.ts';
import { howOf, WorkerProcess } from './worker-process.ts';
import { WorkerSlot } from './worker-slot.ts';

const TICKET_SECRET_BYTES = 48;
/** Pings of a worker within `--worker-timeout`. */
const PINGS_PER_TIMEOUT = 5;
/** Kubernetes' default timeout of a probe is one second. */
const PROBE_TIMEOUT_MS = 500;
/** After `--graceful-shutdown-timeout`, for workers to close their tunnels and write their logs. */
const EXIT_MS = 5_000;

/**
 * Starts `--workers` servers in separate processes, and replaces those that end. This process owns the ports, and
 * answers on the health and admin ports for all workers. No bytes of streams pass through it.
 *
 * @throws UsageError, StartupError if this process or one of the first workers cannot start
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
  readonly #agentPort: AgentPort;
  readonly #slots: readonly WorkerSlot[];
  readonly #adminPorts: AdminPorts;
  readonly #registry = new Registry();
  readonly #metrics = new MergedMetrics(this.#registry);
  readonly #ends = new Counter({
    name: 'fairlead_server_worker_ends_total',
    help: 'Workers that ended unexpectedly, by exit code, signal or reason',
    labelNames: ['how'],
    registers: [this.#registry],
  });
  #pingTimer: NodeJS.Timeout | undefined;
  #isUp = false;
  #probedAtMs = -Infinity;
  #isDraining = false;

  constructor(options: ServerOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
    this.#ports = new SharedPorts(logger);
    this.#agentPort = new AgentPort(() => this.#workers, logger);
    this.#slots = Array.from(
      { length: options.workers },
      (_, index) => new WorkerSlot(index + 1, logger, (slot) => this.#spawn(slot)),
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
    const { contentType } = this.#metrics;
    this.#adminPorts = createAdminPorts(options, logger, {
      registry: { contentType, metrics: () => this.#collectMetrics() },
      notReadyReason: () => this.#whyNotReady(),
      reports: this.#reportRoutes(),
    });
  }

  async start(): Promise<void> {
    // However this process ends, its workers end with it.
    process.once('exit', () => {
      for (const worker of this.#workers) worker.kill();
    });
    try {
      await this.#adminPorts.listen();
      await this.#ports.bind(this.#options);
      await this.#startFirst();
      await this.#agentPort.listen(this.#options);
      await this.#ports.publish(this.#options.reloadInterval);
    } catch (error) {
      this.#ports.releaseUds();
      this.#ports.close();
      await this.#end();
      throw error;
    }
    this.#isUp = true;
    this.#pingTimer = setInterval(() => {
      for (const worker of this.#workers) worker.ping();
    }, this.#options.workerTimeout / PINGS_PER_TIMEOUT);
  }

  reload(): void {
    this.#ports.check();
    for (const worker of this.#workers) worker.send({ type: 'reload' });
  }

  async drain(): Promise<void> {
    this.#isDraining = true;
    this.#agentPort.stop();
    this.#ports.close();
    const ended = Promise.all(this.#slots.map((slot) => slot.close()));
    const isWatched = performance.now() - this.#probedAtMs < PROBE_MEMORY_MS;
    for (const worker of this.#workers) worker.send({ type: 'drain', isWatched });
    const timer = setTimeout(() => {
      for (const worker of this.#workers) worker.kill();
    }, this.#options.gracefulShutdownTimeout + EXIT_MS);
    await ended;
    clearTimeout(timer);
    await this.#end();
  }

  /** Ends everything at once. */
  async #end(): Promise<void> {
    clearInterval(this.#pingTimer);
    const ended = Promise.all(this.#slots.map((slot) => slot.close()));
    for (const worker of this.#workers) worker.kill();
    await ended;
    this.#agentPort.stop();
    this.#ports.releaseUds();
    await this.#adminPorts.close();
  }

  get #workers(): WorkerProcess[] {
    return this.#slots.flatMap(({ process: worker }) => worker ?? []);
  }

  /** Resolves when all workers serve agents. @throws StartupError if one of them cannot */
  async #startFirst(): Promise<void> {
    for (const slot of this.#slots) slot.start();
    await Promise.all(this.#workers.map(({ started }) => started));
  }

  #spawn(slot: WorkerSlot): WorkerProcess {
    const { worker } = slot;
    return new WorkerProcess({
      logger: this.#logger,
      fds: this.#ports.fdsOf(worker),
      start: {
        worker,
        options: this.#optionsOf(worker),
        ticketSecret: this.#ticketSecret,
        workerAddresses: this.#workerAddresses,
        waitsUntilReady: this.#workers.some(({ isFrontEndOpen }) => isFrontEndOpen),
      },
      onUdsStopped: () => this.#ports.releaseUds(),
      onEnd: (end) => {
        this.#metrics.retire(worker);
        if (!this.#isDraining) this.#ends.inc({ how: howOf(end) });
        // If one of the first workers cannot start, the program ends.
        if (!this.#isUp) void slot.close();
        slot.onEnd(end);
        this.#openFrontEnds();
      },
    });
  }

  /** If no worker accepts clients, there is no reason for the others to wait until they are ready. */
  #openFrontEnds(): void {
    if (this.#isDraining || this.#workers.some(({ isFrontEndOpen }) => isFrontEndOpen)) return;
    for (const worker of this.#workers) worker.send({ type: 'openFrontEnd' });
  }

  #optionsOf(worker: number): ServerOptions {
    const options = this.#options;
    const { workers, serverId, serverCount, maxTunnelWindow, maxStreamWindow } = options;
    // The workers share the memory of the machine. All other limits apply to each worker.
    const maxProcessWindow = Math.ceil(options.maxProcessWindow / workers);
    return {
      ...options,
      workers: 1,
      serverId: workerServerId(serverId, worker),
      serverCount: serverCount * workers,
      advertiseAgentAddress: this.#workerAddresses[worker - 1],
      maxProcessWindow,
      maxTunnelWindow: Math.min(maxTunnelWindow, maxProcessWindow),
      maxStreamWindow: Math.min(maxStreamWindow, maxProcessWindow),
    };
  }

  /** Where agents reach each worker, in the order of workers; empty without --advertise-agent-address. */
  get #workerAddresses(): HostPort[] {
    const host = this.#options.advertiseAgentAddress?.host;
    return host === undefined ? [] : this.#ports.agentPorts.map((port) => ({ host, port }));
  }

  /** Ready if all workers that accept clients are ready. Unresponsive workers accept none. */
  async #whyNotReady(): Promise<string | undefined> {
    this.#probedAtMs = performance.now();
    if (this.#isDraining) return 'the server is draining';
    const answers = await Promise.all(
      this.#workers
        .filter(({ isResponsive }) => isResponsive)
        .map(async (process) => ({
          worker: process.worker,
          answer: await process.ask({ what: 'readiness', isProbe: true }, PROBE_TIMEOUT_MS),
        })),
    );
    const open = answers.filter(({ answer }) => answer?.isFrontEndOpen);
    if (open.length === 0) return 'no worker serves clients';
    const unready = open.find(({ answer }) => answer?.whyNotReady !== undefined);
    if (!unready) return this.#ports.fault;
    return `worker ${unready.worker}: ${unready.answer?.whyNotReady}`;
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
  const answer = await process?.ask({ what: 'readiness', isProbe: false });
  const reason = answer?.whyNotReady;
  let state: WorkerStatus['state'] = 'ended';
  if (answer) state = reason === undefined ? 'ready' : 'not ready';
  else if (process) state = process.isStarted ? 'no answer' : 'starting';
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
