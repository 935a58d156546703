import type { RelayedStream, StreamHandler } from '../session/stream.ts';
import { TunnelError } from '../wire/errors.ts';
import type { RelayOptions } from './relay.ts';

/** Receives what a client's side of a stream reports. `onClose` is called exactly once, and last. */
export interface ClientStreamHandler {
  /** The consumer calls `consumed(chunk.length)` when it has taken the bytes. */
  onData(chunk: Buffer): void;
  /** The client has ended its direction. */
  onEnd(): void;
  /** There is room again after `write` returned false. */
  onDrain(): void;
  /** There is no error if both directions ended in order. */
  onClose(error?: Error): void;
}

/** A client's side of a stream that is not a Node Duplex: an HTTP/2 stream, or a gRPC call. */
export interface ClientStream {
  /** Sets the consumer. Within the call, it gets what arrived before. */
  attach(handler: ClientStreamHandler): void;
  /** @returns false if the caller must wait for `onDrain` */
  write(chunk: Buffer): boolean;
  end(): void;
  /** Ends both directions so that the client sees a failure. */
  reset(error: TunnelError): void;
  consumed(bytes: number): void;
}

/**
 * Joins a client's stream and a tunnel's stream until both have ended: bytes, backpressure, half-close and reset, in both
 * directions. Like `relay`, without a socket on either side.
 */
export function joinStreams(
  client: ClientStream,
  tunnel: RelayedStream,
  options: RelayOptions,
): void {
  new JoinedStreams(client, tunnel, options).start();
}

/** The handler of the tunnel's stream. */
class JoinedStreams implements StreamHandler {
  readonly #client: ClientStream;
  readonly #tunnel: RelayedStream;
  readonly #options: RelayOptions;
  #bytesFromClient = 0;
  #bytesToClient = 0;
  /** Written to the tunnel while it had no room: the client gets credit for them at `onDrain`. */
  #owedToClientBytes = 0;
  #owedToTunnelBytes = 0;
  #clientClosed = false;
  #tunnelClosed = false;
  #isFinished = false;
  #error: TunnelError | undefined;

  constructor(client: ClientStream, tunnel: RelayedStream, options: RelayOptions) {
    this.#client = client;
    this.#tunnel = tunnel;
    this.#options = options;
  }

  start(): void {
    const tunnel = this.#tunnel;
    tunnel.attach(this);
    this.#client.attach({
      onData: (chunk) => {
        this.#bytesFromClient += chunk.length;
        if (tunnel.write(chunk)) this.#client.consumed(chunk.length);
        else this.#owedToClientBytes += chunk.length;
      },
      onEnd: () => tunnel.end(),
      onDrain: () => this.#creditTunnel(),
      onClose: (error) => this.#onClientClose(error),
    });
  }

  onData(chunk: Buffer): void {
    this.#bytesToClient += chunk.length;
    if (this.#client.write(chunk)) this.#tunnel.consumed(chunk.length);
    else this.#owedToTunnelBytes += chunk.length;
  }

  onEnd(): void {
    this.#client.end();
  }

  onDrain(): void {
    const bytes = this.#owedToClientBytes;
    this.#owedToClientBytes = 0;
    if (bytes > 0) this.#client.consumed(bytes);
  }

  onClose(error?: TunnelError): void {
    this.#tunnelClosed = true;
    if (error) {
      this.#error ??= error;
      this.#client.reset(error);
    }
    this.#finishWhenDone();
  }

  #onClientClose(cause: Error | undefined): void {
    this.#clientClosed = true;
    if (cause && !this.#tunnelClosed) {
      const { resetCode } = this.#options;
      const error =
        cause instanceof TunnelError ? cause : new TunnelError(resetCode, cause.message, { cause });
      this.#error ??= error;
      this.#tunnel.reset(error);
    }
    // A client that closed in order has taken all bytes, and reports no more room.
    this.#creditTunnel();
    this.#finishWhenDone();
  }

  #creditTunnel(): void {
    const bytes = this.#owedToTunnelBytes;
    this.#owedToTunnelBytes = 0;
    if (bytes > 0) this.#tunnel.consumed(bytes);
  }

  #finishWhenDone(): void {
    if (!this.#clientClosed || !this.#tunnelClosed || this.#isFinished) return;
    this.#isFinished = true;
    this.#options.onFinish?.({
      bytesFromSocket: this.#bytesFromClient,
      bytesToSocket: this.#bytesToClient,
      error: this.#error,
    });
  }
}
