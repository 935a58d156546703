import { join } from 'node:path';
import type { Route, TcpAddress } from '@fairlead/client';
import type { TestPki } from '@fairlead/testkit';
import type { RoleProcess } from '../process/process-group.ts';
import type { Program } from '../process/program.ts';
import type { TargetKind } from '../targets/target-kind.ts';

/** What `System.start` receives. */
export interface SystemContext {
  /** The targets of this measure. A system that forwards ports needs all of them at its start. */
  readonly targets: ReadonlyMap<TargetKind, TcpAddress>;
  /** Empty at the start, and removed at the end. The path is short enough for Unix domain sockets. */
  readonly directory: string;
  readonly pki: TestPki;
  /** The node binary that runs our programs. */
  readonly nodePath: string;
  /** Node flags for our programs. */
  readonly nodeArgs: readonly string[];
  /**
   * Starts the measure's slow link in front of the tunnel's listener.
   * @returns the address to dial: the link's, or `address` itself if the measure has no link
   */
  through(address: TcpAddress): Promise<TcpAddress>;
}

/** A server for a fleet of agents. It can restart while they are connected. */
export interface FleetServer {
  /** The built checkout that the server and its agents come from. */
  readonly root: string;
  /** The port that agents dial. It stays the same after a restart. */
  readonly port: number;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** Kills the server. It sends no GOAWAY to the agents. */
  stop(): Promise<void>;
  /** Starts the server again on the same port. */
  start(): Promise<void>;
}

/** A started system. */
export interface RunningSystem {
  readonly processes: readonly RoleProcess[];
  /** @throws Error if the target is not in `SystemContext.targets` */
  route(target: TargetKind): Route;
  /** Present if `System.hasFleet`. */
  readonly fleetServer?: FleetServer;
  close(): Promise<void>;
}

/** A program or pair of programs to measure: Fairlead, a peer, or no tunnel (`direct`). */
export interface System {
  /** The name in `--peers` and in tables. */
  readonly name: string;
  /** One line for the report: language, front end and tunnel. */
  readonly about: string;
  /** Whether its processes run our code in Node. */
  readonly isNode: boolean;
  /** Whether all streams share one connection. */
  readonly isMultiplexed: boolean;
  /** What its front end requires of clients, if more than a plain connection or an HTTP CONNECT on one. */
  readonly frontEnd?: 'mtls' | 'http2' | 'grpc';
  /** Whether many of its agents can run in one process. */
  readonly hasFleet?: boolean;
  /** @returns the command that installs what is missing, or undefined if the system can run */
  missing(): string | undefined;
  /** @returns the version for the report, or undefined if it is unknown */
  version(nodePath: string): Promise<string | undefined>;
  start(context: SystemContext): Promise<RunningSystem>;
}

/** @throws Error if the measure has no such target */
export function targetAddress(
  { targets }: Pick<SystemContext, 'targets'>,
  kind: TargetKind,
): TcpAddress {
  const address = targets.get(kind);
  if (!address) throw new Error(`this measure has no ${kind} target`);
  return address;
}

/** The Unix domain socket of a system that forwards one socket to each target. */
export function socketPath({ directory }: SystemContext, kind: TargetKind): string {
  return join(directory, `${kind}.sock`);
}

/** The routes of a system that forwards one Unix domain socket to each target. */
export function socketRoutes(context: SystemContext): RunningSystem['route'] {
  return (kind) => ({
    by: 'forward',
    address: { path: socketPath(context, kind) },
    target: targetAddress(context, kind),
  });
}

/** A system of one server process and one agent process. */
export function runningPair(
  server: Program,
  agent: Program,
  route: RunningSystem['route'],
): RunningSystem {
  return {
    processes: [
      { role: 'server', pid: server.pid },
      { role: 'agent', pid: agent.pid },
    ],
    route,
    close: () => closeAll([agent, server]),
  };
}

export async function closeAll(programs: readonly Program[]): Promise<void> {
  await Promise.all(programs.map((program) => program.close()));
}
