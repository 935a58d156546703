import type { Target, TunnelStream } from '@fairlead/protocol';

/** Who asks for a stream, as the front end's listener established it. */
export interface Caller {
  readonly kind: 'uds' | 'mtls';
  /** The certificate's common name; never set for `uds`. */
  readonly commonName?: string;
  /** The certificate's organizations, which Kubernetes reads as groups. */
  readonly organizations: readonly string[];
  /** For logs: `host:port` of the peer, or the path of the Unix domain socket. */
  readonly address: string;
}

/** A stream whose target is connected. */
export interface DialedStream {
  readonly stream: TunnelStream;
  readonly agentId: string;
}

/**
 * Finds an agent, opens a stream, and resolves when the target is connected.
 *
 * Rejects with `TunnelError`. Aborting the signal cancels the dial. Bytes of a target that speaks
 * first can arrive before the promise's reactions run: the dialer holds them until the relay has
 * taken the stream over.
 */
export type Dial = (target: Target, caller: Caller, signal: AbortSignal) => Promise<DialedStream>;
