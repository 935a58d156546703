import type { Route } from '../route.ts';

/** What all loads have in common. Plain data, so that it can be sent to another process. */
interface LoadBase {
  readonly route: Route;
  readonly streams: number;
  /** The time over which the streams are opened, one after the other. All at once if left out. */
  readonly rampMs?: number;
  /**
   * Whether the load goes on after a failure: a stream that ends is counted as a failure and opened
   * again. If not, the first failure rejects `Load.running`.
   */
  readonly isLasting?: boolean;
  /** An answer that takes longer is a failure, and its stream is replaced. No limit if left out. */
  readonly timeoutMs?: number;
  /**
   * Operations per second of all streams together, for `echo`, `open` and `http`. As fast as answers
   * arrive if left out.
   */
  readonly ratePerSecond?: number;
}

export type LoadOrder = LoadBase &
  (
    | {
        /**
         * `bulk-up` sends as fast as it can to a sink, `bulk-down` reads as fast as it can from a source,
         * `stalled` reads the first bytes of a source and then stops reading.
         */
        readonly kind: 'bulk-up' | 'bulk-down' | 'stalled';
        /** Size of one write, for `bulk-up`. */
        readonly writeBytes?: number;
      }
    | {
        /** Sends one message at a time on each stream, and pauses after each answer. */
        readonly kind: 'echo';
        readonly messageBytes: number;
        readonly pauseMs: number;
      }
    | {
        /**
         * `open` opens a stream, sends a byte, reads it back, closes the stream, and repeats this.
         * `idle` opens streams, sends a byte through each, and leaves them open.
         */
        readonly kind: 'open' | 'idle';
      }
    | {
        /** HTTP requests. `streams` are connections, with one request at a time on each. */
        readonly kind: 'http';
        /** TLS with the target; `true` accepts any certificate. */
        readonly tls: boolean | HttpTls;
        readonly reconnect: boolean;
        /** `/` if left out. */
        readonly path?: string;
        /** `GET` if left out. */
        readonly method?: string;
        readonly headers?: Readonly<Record<string, string>>;
        /** Size of the requests' bodies; no body if left out. */
        readonly bodyBytes?: number;
      }
  );

export type OrderOf<Kind extends LoadOrder['kind']> = Extract<LoadOrder, { readonly kind: Kind }>;

/** TLS with an HTTP target: PEM texts. */
export interface HttpTls {
  /** Node's public CAs if left out. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly takesAny?: boolean;
}

export interface Load {
  /** Resolves when every stream carries data. Rejects if a stream fails, unless `isLasting`. */
  readonly running: Promise<void>;
  /** Ends all streams and resolves when they are closed. */
  stop(): Promise<void>;
}

/** The methods of an HTTP load. CONNECT is missing, because it opens a tunnel instead of an answer. */
export const httpMethods: readonly string[] = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
];
