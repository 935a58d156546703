/** What one process of a fleet is asked to run; plain data. */
export interface FleetOrder {
  /** The checkout whose agents are meant, built. */
  readonly root: string;
  /** Begins the agents' IDs. */
  readonly name: string;
  readonly agents: number;
  readonly serverPort: number;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export type FleetState = 'ready' | 'lost';

/** TLS handshakes of a process since they were last asked for. */
export interface Handshakes {
  readonly full: number;
  readonly resumed: number;
}
