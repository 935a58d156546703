import type { Target, TunnelError, TunnelStream } from '@fairlead/protocol';
import type { AgentClaims } from './agent-identifiers.ts';
import type { AgentPeer } from './agent-peer.ts';

/** The server's view of one agent's tunnel. Two tunnels are two backends, even with the same agent ID. */
export interface Backend {
  readonly agentId: string;
  readonly peer: AgentPeer;
  /** Replaced as a whole when the agent's identifiers change. */
  readonly claims: AgentClaims;
  readonly isDraining: boolean;
  /** Whether the agent leaves a PING unanswered; such a backend is picked only if there is no other. */
  readonly isSilent: boolean;
  /** Whether its last dials failed by its own fault; such a backend is picked only if its pool has no other. */
  readonly isFailing: boolean;
  /** Streams that are dialing or open. */
  readonly load: number;
  /**
   * Opens a stream. One method of the handler is called later, once.
   * @returns the attempt, which `reset` cancels
   * @throws TunnelError if no attempt can be made
   */
  dial(target: Target, handler: BackendDialHandler): { reset(error: TunnelError): void };
  /** Receives the result of each dial: none if it succeeded. `isFailing` follows from these. */
  onDialEnd(error?: TunnelError): void;
}

/** Receives the result of a dial. */
export interface BackendDialHandler {
  /** The agent has connected to the target. The stream must get its handler within the call. */
  onOpened(stream: TunnelStream): void;
  onFailed(error: TunnelError): void;
}
