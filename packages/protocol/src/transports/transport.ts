/**
 * A transport is ordered bytes with backpressure, and nothing more: it knows no frames, and the
 * session that uses it knows no sockets. TLS, WebSocket, HTTP/2 and test pairs all look like this.
 */
export interface Transport {
  /** For logs and metrics. */
  readonly kind: TransportKind;

  /** Starts delivery. Called once; nothing is delivered before. */
  start(sink: TransportSink): void;

  /**
   * Sends bytes. The buffer must not change until `onSent`, which says that the transport has let go of it and
   * that the bytes have left this process; never within the call. A transport that ends before calls it
   * late or not at all. After `end` or `destroy` bytes are dropped.
   */
  write(bytes: Buffer, onSent: () => void): void;

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

  /** The end, exactly once, whoever caused it; no error after a clean end. */
  onClose(error?: Error): void;
}
