import { setTimeout as sleep } from 'node:timers/promises';
import type { Route } from '@fairlead/client';
import type { LoadOrder, MeterReport } from '@fairlead/client/load';
import type { Observation } from '../process/observe.ts';
import type { Role, RoleUsage } from '../process/process-group.ts';
import type { Worker } from '../process/worker.ts';
import type { FleetServer, System } from '../systems/system.ts';
import type { TargetKind } from '../targets/target-kind.ts';

/** One figure of a measure. */
export interface Column {
  /** The key in `Values`. */
  readonly key: string;
  readonly title: string;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
}

/** The figures of one round, by column key. */
export type Values = Readonly<Record<string, number>>;

/** A slow link between server and agent. */
export interface LinkShape {
  readonly roundTripMs: number;
  readonly bytesPerSecond: number;
}

/** What a measure uses in one round: a running system, targets, loads and observations. */
export interface Rig {
  readonly system: System;
  /** The time to count. */
  readonly durationMs: number;
  /** The time to run before counting, in which V8 compiles code and windows grow. */
  readonly warmupMs: number;
  route(target: TargetKind): Route;
  target(kind: TargetKind): Worker;
  /**
   * Starts a load generator.
   * @param timeoutMs the default is 3 minutes
   * @throws Error if a stream cannot be opened, or if not all streams carry data within `timeoutMs`
   */
  startLoad(order: LoadOrder, timeoutMs?: number): Promise<Worker>;
  /** Lets the workers count for `durationMs`, and adds up the CPU time of all processes by role. */
  observe(...workers: Worker[]): Promise<Observation>;
  /** The memory of the system's processes now. */
  memory(): ReadonlyMap<Role, RoleUsage>;
  /** Undefined unless `System.hasFleet`. */
  fleetServer(): FleetServer | undefined;
  /** The node binary that runs our programs. */
  readonly nodePath: string;
  /** Sends a signal to the system's processes. */
  signal(signal: NodeJS.Signals): void;
}

/** What an order to the load generator in Go has in addition. */
export interface GoLoad {
  /** Whether all gRPC streams share one connection. Otherwise each has its own, as in kube-apiserver. */
  readonly sharesConnection: boolean;
}

export interface Measure {
  /** The name in `--only`, which also accepts its beginning. */
  readonly name: string;
  readonly title: string;
  /** A short description for the report. */
  readonly about: string;
  readonly targets: readonly TargetKind[];
  readonly columns: readonly Column[];
  /** Keys of the columns that the chart shows. */
  readonly charted: readonly string[];
  readonly link?: LinkShape;
  /** Whether each round starts the system again. */
  readonly isFresh?: boolean;
  /** The first round's extra warm-up, in which V8 compiles hot code. Default: 2 s. */
  readonly settleMs?: number;
  /** Node flags for our programs. */
  readonly nodeArgs?: readonly string[];
  /** Present if the load generator is the one in Go. */
  readonly goLoad?: GoLoad;
  /** @returns the reason why the measure omits this system, or undefined if it includes the system */
  excludes?(system: System): string | undefined;
  run(rig: Rig): Promise<Values>;
}

export function settleMsOf({ settleMs = 2_000 }: Measure): number {
  return settleMs;
}

/** Lets a load warm up, observes it, and closes it. */
export async function observeLoad(
  rig: Rig,
  load: Worker,
): Promise<{ readonly observation: Observation; readonly report: MeterReport }> {
  await sleep(rig.warmupMs);
  const observation = await rig.observe(load);
  await load.close();
  return { observation, report: observation.reports[0]! };
}
