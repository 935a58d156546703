import type { Target, TunnelStream } from '@fairlead/protocol';
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
  /** Streams that are dialing or open. */
  readonly load: number;
  /**
   * Opens a stream; resolves when the agent has connected to the target.
   * @param signal aborting it cancels the dial; its reason is a TunnelError
   * @throws TunnelError
   */
  dial(target: Target, signal: AbortSignal): Promise<TunnelStream>;
}
