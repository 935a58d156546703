import type { TcpAddress } from '@fairlead/client';
import type { LoadOrder } from '@fairlead/client/load';
import type { SlowLinkOptions, TestPki } from '@fairlead/testkit';
import { type Measure, type Rig, settleMsOf, type Values } from '../measures/measure.ts';
import { goLoadProgram } from '../measures/with-go-load.ts';
import { requireProgram } from '../process/find-program.ts';
import { observe } from '../process/observe.ts';
import { type RoleProcess, readUsage } from '../process/process-group.ts';
import { ScratchDirectory } from '../process/scratch-directory.ts';
import { Worker } from '../process/worker.ts';
import type { RunningSystem, System } from '../systems/system.ts';
import { waitUntilReachable } from './reachable.ts';
import type { Targets } from './targets.ts';

const loadEntry = new URL('../load/main.js', import.meta.url);
const linkEntry = new URL('../link/main.js', import.meta.url);
/** Enough for 10,000 streams through the slowest peer. */
const loadStartTimeoutMs = 180_000;
const mib = 1024 ** 2;

export interface MeasuredSystemOptions {
  readonly system: System;
  readonly measure: Measure;
  readonly targets: Targets;
  readonly pki: TestPki;
  readonly nodePath: string;
  readonly durationMs: number;
  readonly warmupMs: number;
}

/** One running system during one measure. All rounds use it, unless one fails or `Measure.isFresh`. */
export class MeasuredSystem {
  readonly #options: MeasuredSystemOptions;
  readonly #running: RunningSystem;
  readonly #closers: readonly (() => Promise<void>)[];
  readonly #loads = new Set<Worker>();
  #isSettled: boolean;

  private constructor(
    options: MeasuredSystemOptions,
    running: RunningSystem,
    closers: readonly (() => Promise<void>)[],
  ) {
    this.#options = options;
    this.#running = running;
    this.#closers = closers;
    this.#isSettled = options.measure.isFresh ?? false;
  }

  /** @throws Error if the system does not start or does not carry a stream */
  static async start(options: MeasuredSystemOptions): Promise<MeasuredSystem> {
    const { system, measure, targets, pki, nodePath } = options;
    const closers: (() => Promise<void>)[] = [];
    try {
      const directory = new ScratchDirectory();
      closers.push(() => directory.close());
      const running = await system.start({
        targets: targets.addresses,
        directory: directory.path,
        pki,
        nodePath,
        nodeArgs: measure.nodeArgs ?? [],
        through: (address) => startLink(measure, address, closers),
      });
      closers.push(() => running.close());
      for (const kind of measure.targets) await waitUntilReachable(running.route(kind));
      return new MeasuredSystem(options, running, closers);
    } catch (error) {
      await closeInReverse(closers);
      throw error;
    }
  }

  /** Runs one round, and closes its loads even if it fails. @throws Error if the round fails */
  async round(): Promise<Values> {
    try {
      const values = await this.#options.measure.run(this.#rig());
      this.#isSettled = true;
      return { ...values, ...this.#peaks() };
    } finally {
      await Promise.all([...this.#loads].map((load) => load.close()));
      this.#loads.clear();
    }
  }

  close(): Promise<void> {
    return closeInReverse(this.#closers);
  }

  #rig(): Rig {
    const { system, measure, targets, nodePath, durationMs, warmupMs } = this.#options;
    return {
      system,
      nodePath,
      durationMs,
      warmupMs: this.#isSettled ? warmupMs : warmupMs + settleMsOf(measure),
      fleetServer: () => this.#running.fleetServer,
      route: (kind) => this.#running.route(kind),
      target: (kind) => targets.workers.get(kind)!,
      startLoad: (order, timeoutMs) => this.#startLoad(order, timeoutMs),
      observe: (...workers) => observe(workers, this.#processes(), durationMs),
      memory: () => readUsage(this.#running.processes),
      signal: (signal) => {
        for (const { pid } of this.#running.processes) process.kill(pid, signal);
      },
    };
  }

  async #startLoad(order: LoadOrder, timeoutMs = loadStartTimeoutMs): Promise<Worker> {
    const { goLoad } = this.#options.measure;
    const load = goLoad
      ? await Worker.startProgram(requireProgram(goLoadProgram))
      : await Worker.start(loadEntry);
    this.#loads.add(load);
    try {
      await load.call('start', { ...order, ...goLoad }, timeoutMs);
      return load;
    } catch (error) {
      await load.close();
      throw error;
    }
  }

  #processes(): RoleProcess[] {
    const clients = [...this.#loads].map(({ pid }): RoleProcess => ({ role: 'client', pid }));
    const targets = [...this.#options.targets.workers.values()];
    return [
      ...this.#running.processes,
      ...clients,
      ...targets.map(({ pid }): RoleProcess => ({ role: 'target', pid })),
    ];
  }

  #peaks(): Values {
    const usage = readUsage(this.#running.processes);
    return Object.fromEntries(
      [...usage].map(([role, { peakRssBytes }]) => [`${role}-peak`, peakRssBytes / mib]),
    );
  }
}

async function startLink(
  { link }: Measure,
  address: TcpAddress,
  closers: (() => Promise<void>)[],
): Promise<TcpAddress> {
  if (!link) return address;
  const worker = await Worker.start(linkEntry);
  closers.push(() => worker.close());
  const options: SlowLinkOptions = {
    to: address,
    delayMs: link.roundTripMs / 2,
    bytesPerSecond: link.bytesPerSecond,
  };
  return worker.call<TcpAddress>('start', options);
}

async function closeInReverse(closers: readonly (() => Promise<void>)[]): Promise<void> {
  for (const close of [...closers].reverse()) await close();
}
