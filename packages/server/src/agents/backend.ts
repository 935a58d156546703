import { type Session, type Target, TunnelError, type TunnelStream } from '@fairlead/protocol';
import type { AgentPeer } from './agent-peer.ts';
import { type AgentClaims, emptyClaims } from './auth/agent-authorization.ts';

/**
 * The server's view of one agent's tunnel. Two tunnels of agents with the same ID are two backends: what
 * counts is the connection, not the name that its agent gave itself.
 */
export interface Backend {
  readonly agentId: string;
  readonly peer: AgentPeer;
  /** What its agent serves; replaced as a whole when the agent says something new. */
  readonly claims: AgentClaims;
  readonly isDraining: boolean;
  /** Whether the agent leaves a sign of life wanting; chosen only when there is no other. */
  readonly isSilent: boolean;
  /** Streams that are dialling or open. */
  readonly load: number;
  /**
   * Opens a stream and resolves when the target is connected.
   * @param signal aborting it cancels the dial; its reason is a TunnelError
   * @throws TunnelError
   */
  dial(target: Target, signal: AbortSignal): Promise<TunnelStream>;
}

/** A backend whose agent speaks docs/spec.md. */
export class TunnelBackend implements Backend {
  readonly agentId: string;
  readonly peer: AgentPeer;
  readonly session: Session;
  claims: AgentClaims = emptyClaims;
  readonly #onExhausted: () => void;

  /** @param onExhausted its own dials have used up the tunnel's stream IDs, so that it drains */
  constructor(session: Session, agentId: string, peer: AgentPeer, onExhausted: () => void) {
    this.session = session;
    this.agentId = agentId;
    this.peer = peer;
    this.#onExhausted = onExhausted;
  }

  get isDraining(): boolean {
    return this.session.isDraining;
  }

  get isSilent(): boolean {
    return this.session.isSilent;
  }

  get load(): number {
    return this.session.streamCount;
  }

  dial(target: Target, signal: AbortSignal): Promise<TunnelStream> {
    return new Promise((resolve, reject) => {
      const onAbort = () => stream.reset(signal.reason as TunnelError);
      const wasDraining = this.session.isDraining;
      const stream = this.session.open(target, {
        onOpened: () => {
          signal.removeEventListener('abort', onAbort);
          resolve(stream);
        },
        onClose: (error) => {
          signal.removeEventListener('abort', onAbort);
          reject(error ?? new TunnelError('tunnel_lost'));
        },
      });
      signal.addEventListener('abort', onAbort);
      if (this.session.isDraining && !wasDraining) this.#onExhausted();
    });
  }
}
