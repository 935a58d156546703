import type { ErrorCode, TunnelError } from '@fairlead/protocol';

/** How a client reached the front end. */
export type FrontEndProtocol = 'http1' | 'http2' | 'grpc';

/** What is known of a stream when it is over. */
export interface StreamSummary {
  readonly durationMs: number;
  readonly bytesFromClient: number;
  readonly bytesToClient: number;
  /** Why it ended, if not in order. */
  readonly error?: TunnelError;
}

/** Told of what happens, for metrics. The methods must not throw. */
export interface FrontEndObserver {
  onDialStart(protocol: FrontEndProtocol): void;
  /** Follows each `onDialStart` once; without an error the target is connected. */
  onDialEnd(protocol: FrontEndProtocol, durationMs: number, error?: TunnelError): void;
  /** Follows each successful dial once. */
  onStreamEnd(protocol: FrontEndProtocol, summary: StreamSummary): void;
  /** A connection or a request that never came to a dial. */
  onRefused(code: ErrorCode): void;
}
