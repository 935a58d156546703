import type { Route } from '../route.ts';

/** What every load can be told; plain data, so that it can go to another process. */
interface LoadBase {
  readonly route: Route;
  /** How many at once. */
  readonly streams: number;
  /** Over which time the streams are opened, one after the other; at once if left out. */
  readonly rampMs?: number;
  /**
   * Whether the load outlives its failures: a stream that ends is counted as one and opened again.
   * If not, the first failure ends the wait for `Load.running`.
   */
  readonly isLasting?: boolean;
  /** An answer that takes longer is a failure, and its stream is replaced. No limit if left out. */
  readonly timeoutMs?: number;
}

interface PacedLoad extends LoadBase {
  /** Operations per second, of all streams together; as fast as answers come if left out. */
  readonly ratePerSecond?: number;
}

/** What a load generator is asked to do. */
export type LoadOrder =
  | BulkLoadOrder
  | EchoLoadOrder
  /** Opens, sends a byte, reads it back, closes, again and again. */
  | OpenLoadOrder
  /** Opens streams, sends a byte through each and then leaves them alone. */
  | ({ readonly kind: 'idle' } & LoadBase)
  | HttpLoadOrder;

export interface BulkLoadOrder extends LoadBase {
  /**
   * `bulk-up` sends as fast as it can to a sink, `bulk-down` reads as fast as it can from a source,
   * `stalled` reads the first bytes of a source and then no more.
   */
  readonly kind: 'bulk-up' | 'bulk-down' | 'stalled';
  /** Of one write, for `bulk-up`. */
  readonly writeBytes?: number;
}

/** One message at a time on each stream, with a pause between answer and next message. */
export interface EchoLoadOrder extends PacedLoad {
  readonly kind: 'echo';
  readonly messageBytes: number;
  readonly pauseMs: number;
}

export interface OpenLoadOrder extends PacedLoad {
  readonly kind: 'open';
}

/** HTTP requests; `streams` are connections, with one request at a time on each. */
export interface HttpLoadOrder extends PacedLoad {
  readonly kind: 'http';
  /** TLS with the target; `true` takes any certificate. */
  readonly tls: boolean | HttpTls;
  /** A connection for every request. */
  readonly reconnect: boolean;
  /** `/` if left out. */
  readonly path?: string;
  /** `GET` if left out. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Size of the requests' bodies; none if left out. */
  readonly bodyBytes?: number;
}

/** TLS with an HTTP target: PEM texts. */
export interface HttpTls {
  /** Node's public CAs if left out. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** Whether the target's certificate is not verified. */
  readonly takesAny?: boolean;
}

/** A load that has been started. */
export interface Load {
  /** Resolves when every stream carries data. Rejects when one cannot be opened, unless lasting. */
  readonly running: Promise<void>;
  /** Ends all streams and resolves when they are closed. */
  stop(): Promise<void>;
}
