import type { GrpcError } from './grpc-status.ts';

/** The HTTP/2 stream of a gRPC call, from either end. No other code reads or writes the stream. */
export interface Call {
  readonly isServer: boolean;
  readonly isClosed: boolean;
  /** Written bytes that have not left this process. */
  readonly pendingBytes: number;
  /** Starts delivery. Called once. */
  attach(handler: CallHandler): void;
  /** Stops delivery after the current chunk. HTTP/2's window then stops the peer. */
  pause(): void;
  resume(): void;
  /**
   * The buffer belongs to the stream from here on. All bytes of one tick of the event loop leave together.
   * @param onLeft called when the bytes have left this process
   */
  write(bytes: Buffer, onLeft?: () => void): void;
  /** Ends this direction after all written bytes. On the server's side, the trailers carry the error. */
  end(error?: GrpcError): void;
  /** Ends the call at once. */
  cancel(): void;
}

/** Receives what a call reports. `onClose` is called exactly once, and last. */
export interface CallHandler {
  onData(chunk: Buffer): void;
  /** More written bytes have left. */
  onDrain(): void;
  /** The peer has ended its direction. */
  onEnd(): void;
  /** There is no error if the call's status is OK, or if this side ended the call. */
  onClose(error?: GrpcError): void;
}
