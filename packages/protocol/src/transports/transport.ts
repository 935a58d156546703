/**
 * Ordered bytes with backpressure. A transport knows no frames, and the session that uses it knows no sockets. TLS,
 * WebSocket, HTTP/2 and memory pairs for tests implement it.
 */
export interface Transport {
  /** For logs and metrics. */
  readonly kind: TransportKind;

  /** Starts delivery. Called once. Nothing is delivered before. */
  start(sink: TransportSink): void;

  /**
   * Sends bytes. The buffer must not change until `onSent` is called, which means that the bytes have left this process.
   * `onSent` is never called within the call. If the transport ends before, `onSent` is called late or not at all.
   * After `end` or `destroy`, bytes are dropped.
   */
  write(bytes: Buffer, onSent: () => void): void;

  /** Sends queued bytes, then closes. The peer sees an orderly end. */
  end(): void;

  /** Closes at once and drops queued bytes. Idempotent. */
  destroy(error?: Error): void;
}

export type TransportKind = 'tls' | 'websocket' | 'http2' | 'grpc' | 'memory';

/** Receives what a transport reports. No method is called within `start` or `write`. */
export interface TransportSink {
  /** Bytes in order. The chunk belongs to the sink, which may keep slices of it. */
  onBytes(chunk: Buffer): void;

  /** Called exactly once, whichever side ended the transport. There is no error after an orderly end. */
  onClose(error?: Error): void;
}
