/** The part of a fleet that one process runs. */
export interface FleetOrder {
  /** The built checkout that the agents come from. */
  readonly root: string;
  /** The prefix of the agents' IDs. */
  readonly name: string;
  readonly agents: number;
  readonly serverPort: number;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export type FleetState = 'ready' | 'lost';

/** TLS handshakes of a process since the last call. */
export interface Handshakes {
  readonly full: number;
  readonly resumed: number;
}
