/**
 * A transport is ordered bytes with backpressure, and nothing more: it knows no frames, and the
 * session that uses it knows no sockets. TLS, WebSocket, HTTP/2 and test pairs all look like this.
 */
export interface Transport {
  /** For logs and metrics. */
  readonly kind: TransportKind;

  /** Bytes that were handed to `write` and have not left this process yet. */
  readonly writableLength: number;

  /** Starts delivery. Called once; nothing is delivered before. */
  start(sink: TransportSink): void;

  /**
   * Sends the buffers in order, as one unit where the transport can. The buffers belong to the
   * transport from here on and must not be changed by the caller.
   * @returns false when the caller should hold back until `onDrain`
   */
  write(buffers: readonly Buffer[]): boolean;

  /** Sends what is queued, then closes. The peer sees a clean end. */
  end(): void;

  /** Closes at once, dropping what is queued. Idempotent. */
  destroy(error?: Error): void;
}

export type TransportKind = 'tls' | 'websocket' | 'http2' | 'grpc' | 'memory';

/** What a transport reports. All methods are called outside of `start`, never re-entrantly from `write`. */
export interface TransportSink {
  /** Bytes in order. The chunk belongs to the sink: it may keep slices of it. */
  onBytes(chunk: Buffer): void;

  /** There is room again after `write` returned false. */
  onDrain(): void;

  /** The end, exactly once, whoever caused it; no error after a clean end. */
  onClose(error?: Error): void;
}
