import type { Route } from './route.ts';

/** What a load generator is asked to do; plain data. */
export type LoadOrder =
  /** Sends as fast as it can; the sink counts. */
  | { readonly kind: 'bulk-up'; readonly route: Route; readonly streams: number }
  /** Reads as fast as it can; the target is a source. */
  | { readonly kind: 'bulk-down'; readonly route: Route; readonly streams: number }
  /** One message at a time on each stream, with a pause between answer and next message. */
  | {
      readonly kind: 'echo';
      readonly route: Route;
      readonly streams: number;
      readonly messageBytes: number;
      readonly pauseMs: number;
    }
  /** Opens, sends a byte, reads it back, closes, again and again. */
  | { readonly kind: 'open'; readonly route: Route; readonly streams: number }
  /** Opens streams, sends a byte through each and then leaves them alone. */
  | { readonly kind: 'idle'; readonly route: Route; readonly streams: number }
  /** Reads the first bytes of a source and then no more. */
  | { readonly kind: 'stalled'; readonly route: Route; readonly streams: number }
  | HttpLoadOrder;

export interface HttpLoadOrder {
  readonly kind: 'http';
  readonly route: Route;
  /** Connections, one request at a time on each. */
  readonly streams: number;
  readonly tls: boolean;
  /** A connection for every request. */
  readonly reconnect: boolean;
}

/** A load that has been started. */
export interface Load {
  /** Resolves when every stream carries data. Rejects when one cannot be opened. */
  readonly running: Promise<void>;
  /** Ends all streams and resolves when they are closed. */
  stop(): Promise<void>;
}
