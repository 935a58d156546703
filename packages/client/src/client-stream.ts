/** What a load does with its stream's events. */
export interface ClientHandler {
  /** The way to the target is open, as far as the client can know. */
  onOpen(): void;
  /** The bytes are overwritten after the call. */
  onData(chunk: Buffer): void;
  /** `write` may go on. */
  onDrain(): void;
  /** Once, last. */
  onClose(error?: Error): void;
}

/** One stream to a target, whatever carries it. */
export interface ClientStream {
  /** @returns false when the caller should hold back until `onDrain` */
  write(chunk: Buffer): boolean;
  /** Stops reading, for good. */
  stall(): void;
  /** Ends the client's side; the target's answer is awaited. */
  end(): void;
  destroy(): void;
}
