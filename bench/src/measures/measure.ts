import type { Route } from '@fairlead/client';
import type { LoadOrder } from '@fairlead/client/load';
import type { Observation } from '../process/observe.ts';
import type { Role, RoleUsage } from '../process/process-group.ts';
import type { Worker } from '../process/worker.ts';
import type { FleetServer, System } from '../systems/system.ts';
import type { TargetKind } from '../targets/target-kind.ts';

/** One figure of a measure. */
export interface Column {
  /** Its key in `Values`. */
  readonly key: string;
  readonly title: string;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
}

/** The figures of one round, by column key. */
export type Values = Readonly<Record<string, number>>;

/** A slow link in the tunnel's leg. */
export interface LinkShape {
  readonly roundTripMs: number;
  readonly bytesPerSecond: number;
}

/** What a measure works with in one round: a running system, targets, loads, clocks. */
export interface Rig {
  readonly system: System;
  /** How long to count. */
  readonly durationMs: number;
  /** How long to run before counting, so that code is compiled and windows have grown. */
  readonly warmupMs: number;
  route(target: TargetKind): Route;
  target(kind: TargetKind): Worker;
  /**
   * Starts a load generator of its own for this order. Rejects when a stream cannot be opened, or
   * when they do not all carry data within `timeoutMs` (3 minutes).
   */
  startLoad(order: LoadOrder, timeoutMs?: number): Promise<Worker>;
  /** Lets workers count for `durationMs`, and sums up CPU time of all processes by role. */
  observe(...workers: Worker[]): Promise<Observation>;
  /** Memory of the system's own processes now. */
  memory(): ReadonlyMap<Role, RoleUsage>;
  /** Undefined where the system has none. */
  fleetServer(): FleetServer | undefined;
  /** The node binary for programs of ours. */
  readonly nodePath: string;
  /** Sends a signal to the system's processes. */
  signal(signal: NodeJS.Signals): void;
}

export interface Measure {
  /** For `--only`, which also takes the beginning of a name. */
  readonly name: string;
  readonly title: string;
  /** What is done, in a sentence or two, for the report. */
  readonly about: string;
  readonly targets: readonly TargetKind[];
  readonly columns: readonly Column[];
  /** Keys of the columns that the chart shows. */
  readonly charted: readonly string[];
  readonly link?: LinkShape;
  /** Whether each round needs a system that has just been started, instead of a warm one. */
  readonly isFresh?: boolean;
  /** Flags for node in systems of ours. */
  readonly nodeArgs?: readonly string[];
  /** Why a system has no place in this measure; undefined where it has. */
  excludes?(system: System): string | undefined;
  run(rig: Rig): Promise<Values>;
}

/** Waits without doing anything: for warming up. */
export function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
