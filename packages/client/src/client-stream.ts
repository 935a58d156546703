export interface ClientHandler {
  /** The target accepted the stream, or for `forward` the connection is open. */
  onOpen(): void;
  /** The bytes are overwritten after the call. */
  onData(chunk: Buffer): void;
  onDrain(): void;
  /** The last event, once. */
  onClose(error?: Error): void;
}

/** One stream to a target, over any front-end protocol. */
export interface ClientStream {
  /** @returns false if the caller must wait for `onDrain` */
  write(chunk: Buffer): boolean;
  /** Stops reading permanently. */
  stall(): void;
  /** Ends the client's direction. The stream stays open until the target ends its own. */
  end(): void;
  destroy(): void;
}
