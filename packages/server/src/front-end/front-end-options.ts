import type { PacketObserver } from '@fairlead/konnectivity';
import type {
  ErrorCode,
  MemoryBudget,
  RelayedStream,
  Target,
  TunnelError,
} from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime/process';
import type { Caller } from './caller.ts';
import type { LimitName, StreamLimitOptions } from './stream-limits.ts';

export interface FrontEndOptions {
  readonly dial: Dial;
  readonly logger: Logger;
  /** Gets a line for each stream, however it ends. */
  readonly accessLog?: Logger;
  readonly observer: FrontEndObserver;
  /** Which client protocols are served, as `--mode` says; undefined: both. */
  readonly mode?: 'grpc' | 'http-connect' | undefined;
  /** The deadline for a connection's first bytes, and then for a request's complete head. */
  readonly headTimeoutMs: number;
  /** Request line and headers together. */
  readonly maxHeadBytes: number;
  readonly limits?: StreamLimitOptions;
  /** Counts the bytes that clients make the front end hold. */
  readonly memory?: MemoryBudget;
}

/**
 * Checks the policy, finds an agent, and opens a stream. One method of the handler is called once, now or later; after
 * `cancel`, it is `onFailed`, within the call.
 */
export type Dial = (target: Target, caller: Caller, handler: DialHandler) => PendingDial;

export interface PendingDial {
  cancel(error: TunnelError): void;
}

/** Receives the result of a dial. */
export interface DialHandler {
  /** The target is connected. The stream must get its handler within the call. */
  onDialed(stream: RelayedStream, agentId: string): void;
  /** @param agentId the agent that was asked last; undefined if none was */
  onFailed(error: TunnelError, agentId?: string): void;
}

/** The protocol that a client used for its request. */
export type FrontEndProtocol = 'http1' | 'http2' | 'grpc';

/** Receives what happens in the front end, for metrics. The methods must not throw. */
export interface FrontEndObserver {
  onDialStart(protocol: FrontEndProtocol): void;
  /** Follows each `onDialStart` once; without an error the target is connected. */
  onDialEnd(protocol: FrontEndProtocol, durationMs: number, error?: TunnelError): void;
  /** Follows each successful dial once. */
  onStreamEnd(protocol: FrontEndProtocol, summary: StreamSummary): void;
  /** A connection or a request was refused before its dial. */
  onRefused(code: ErrorCode): void;
  /** A stream was refused because of a limit. */
  onLimit(name: LimitName): void;
  /** The observer of clients' gRPC calls; asked for once. */
  grpcCalls(method: 'Proxy'): GrpcObserver;
}

/** What is known of a stream when it has ended. */
export interface StreamSummary {
  readonly durationMs: number;
  readonly bytesFromClient: number;
  readonly bytesToClient: number;
  /** Why the stream ended, unless both sides closed it in order. */
  readonly error?: TunnelError;
}

/** Receives what happens to gRPC calls. */
export interface GrpcObserver extends PacketObserver {
  onCallStart(): void;
  onCallEnd(): void;
  /** A call's reader became full (true), or has room again. */
  onHeldUp(isHeldUp: boolean): void;
  /** How long a packet waited until the client's connection had room. */
  onWritten(durationMs: number): void;
}
