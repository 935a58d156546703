import type { Route, TcpAddress } from '@fairlead/client';
import type { TestPki } from '@fairlead/testkit';
import type { RoleProcess } from '../process/process-group.ts';
import type { TargetKind } from '../targets/target-kind.ts';

/** What a system gets to start with. */
export interface SystemContext {
  /** The targets of this measure; a system that forwards ports needs to know them beforehand. */
  readonly targets: ReadonlyMap<TargetKind, TcpAddress>;
  /** Empty, short enough for sockets, removed afterwards. */
  readonly directory: string;
  readonly pki: TestPki;
  /** The node binary for programs of ours. */
  readonly nodePath: string;
  /** Flags of node for programs of ours. */
  readonly nodeArgs: readonly string[];
  /** Puts the measure's slow link, if it has one, in front of the accepting end of the tunnel's leg. */
  through(address: TcpAddress): Promise<TcpAddress>;
}

/** A server that takes a fleet of agents, and can be restarted under them. */
export interface FleetServer {
  /** The checkout whose agents fit, built. */
  readonly root: string;
  /** Where agents connect; the same after a restart. */
  readonly port: number;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** Kills the server, without a word to the agents. */
  stop(): Promise<void>;
  /** Starts it again on the same port. */
  start(): Promise<void>;
}

/** A system that carries streams now. */
export interface RunningSystem {
  readonly processes: readonly RoleProcess[];
  /** @throws Error for a target that was not announced */
  route(target: TargetKind): Route;
  /** Only where `System.hasFleet`. */
  readonly fleetServer?: FleetServer;
  close(): Promise<void>;
}

/** Something that carries streams: Fairlead, a peer, or nothing at all. */
export interface System {
  /** For `--peers` and for tables. */
  readonly name: string;
  /** One line for the report: what it is and how the legs are set up. */
  readonly about: string;
  /** Whether its server and agent are programs of ours, in Node. */
  readonly isNode: boolean;
  /** Whether all its streams share a connection; one that does not has no tunnel to crowd. */
  readonly isMultiplexed: boolean;
  /** Whether a thousand of its agents can be had in a few processes. */
  readonly hasFleet?: boolean;
  /** Undefined when it can run here, else what is missing and how to get it. */
  missing(): string | undefined;
  /** For the report; undefined where the program does not tell. */
  version(nodePath: string): Promise<string | undefined>;
  start(context: SystemContext): Promise<RunningSystem>;
}

/** The address of a target of this measure. */
export function targetAddress(context: SystemContext, kind: TargetKind): TcpAddress {
  const address = context.targets.get(kind);
  if (!address) throw new Error(`this measure has no ${kind} target`);
  return address;
}

/** Ends several things at once; for `RunningSystem.close`. */
export async function closeAll(parts: readonly { close(): Promise<void> }[]): Promise<void> {
  await Promise.all(parts.map((part) => part.close()));
}
