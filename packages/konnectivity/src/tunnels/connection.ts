import {
  type MemoryBudget,
  type OpeningHandler,
  type StreamHandler,
  type Target,
  TunnelError,
  type TunnelStream,
} from '@fairlead/protocol';

/** Bytes that a connection may hold for a consumer that does not take them. */
const maxHeldBytes = 1024 * 1024;
/** Below this, a full connection takes bytes again. */
const lowHeldBytes = 512 * 1024;

/** What a connection needs of its tunnel. */
export interface ConnectionHost {
  readonly memory: MemoryBudget;
  /** How long a full connection may make no progress before it is reset. */
  readonly stalledStreamTimeoutMs: number;
  /** @returns false if the connection must wait for `onRoom` */
  sendData(connection: Connection, data: Buffer): boolean;
  /** While any connection is full, nothing is read from the tunnel. */
  onFull(connection: Connection): void;
  onNotFull(connection: Connection): void;
  onClosed(connection: Connection): void;
}

let lastId = 0;

/**
 * One of the connections on a packet tunnel. It has the interface of a stream of docs/spec.md, so that a relay handles
 * both. This class has what both ends have in common: bytes and backpressure. Subclasses open and end a connection.
 *
 * The wire has no credit per connection. A full connection can only stop the whole tunnel, and it may do so only while
 * its consumer makes progress.
 */
export abstract class Connection implements TunnelStream {
  /** For logs. It counts within this process and is not on the wire. */
  readonly id = ++lastId;
  readonly target: Target;
  readonly halfCloses = false;
  /** Written bytes belong to the tunnel at once. */
  readonly pendingBytes = 0;
  /** The agent's number for the connection; 0 while it is offered. */
  connectId = 0n;
  protected phase: 'offered' | 'open' | 'closed';
  /** This side has ended its direction. */
  protected ended = false;
  /** The peer has ended its direction, or the whole connection. */
  protected peerEnded = false;
  readonly #host: ConnectionHost;
  #handler: StreamHandler | OpeningHandler | undefined;
  /** Chunks that arrived before a consumer was attached. */
  #unclaimed: Buffer[] = [];
  #heldBytes = 0;
  /** Runs while the connection is full. */
  #stallTimer: NodeJS.Timeout | undefined;
  #closeError: TunnelError | undefined;

  constructor(target: Target, phase: 'offered' | 'open', host: ConnectionHost) {
    this.target = target;
    this.phase = phase;
    this.#host = host;
  }

  attach(handler: StreamHandler | OpeningHandler): void {
    this.#handler = handler;
    if (this.isClosed) return handler.onClose(this.#closeError);
    if (!handler.onData) return;
    for (const data of this.#unclaimed.splice(0)) if (!this.isClosed) handler.onData(data);
    if (this.peerEnded && !this.isClosed) handler.onEnd();
  }

  get isClosed(): boolean {
    return this.phase === 'closed';
  }

  /** Bytes that the consumer has not taken, or that wait for a consumer. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  abstract accept(): void;
  abstract refuse(error: TunnelError): void;
  abstract end(): void;
  abstract reset(error: TunnelError): void;
  protected onActivity(): void {}

  write(chunk: Buffer): boolean {
    // After the peer's end, bytes are dropped, as after a RST that is still in flight.
    if (this.phase !== 'open' || this.ended || this.peerEnded || chunk.length === 0) return true;
    return this.#host.sendData(this, chunk);
  }

  consumed(bytes: number): void {
    if (this.isClosed) return;
    this.#heldBytes -= bytes;
    this.#host.memory.release(bytes);
    if (!this.#stallTimer) return;
    if (this.#heldBytes < lowHeldBytes) this.#leaveFull();
    else this.#stallTimer.refresh();
  }

  resetForMemory(): void {
    this.reset(new TunnelError('memory_limit', `the stream held ${this.#heldBytes} bytes`));
  }

  onData(data: Buffer): void {
    if (this.isClosed || this.peerEnded || data.length === 0) return;
    this.onActivity();
    this.#heldBytes += data.length;
    this.#host.memory.hold(data.length);
    // Counting the bytes can reset this connection.
    if (this.isClosed) return;
    if (this.#heldBytes >= maxHeldBytes && !this.#stallTimer) this.#enterFull();
    if (this.#handler?.onData) this.#handler.onData(data);
    else this.#unclaimed.push(data);
  }

  /** There is room again after `write` returned false. */
  onRoom(): void {
    if (this.#handler?.onData) this.#handler.onDrain();
  }

  /** The tunnel has ended. Nothing is sent. */
  onTunnelLost(error: TunnelError): void {
    this.close(error);
  }

  /** The peer's direction has ended. The consumer is notified after all received bytes. */
  protected endFromPeer(): void {
    if (this.peerEnded) return;
    this.peerEnded = true;
    if (this.#handler?.onData) this.#handler.onEnd();
  }

  protected close(error?: TunnelError): void {
    if (this.isClosed) return;
    this.phase = 'closed';
    this.#closeError = error;
    this.#host.memory.release(this.#heldBytes);
    this.#heldBytes = 0;
    this.#unclaimed = [];
    if (this.#stallTimer) this.#leaveFull();
    this.#host.onClosed(this);
    this.#handler?.onClose(error);
  }

  #enterFull(): void {
    const { stalledStreamTimeoutMs } = this.#host;
    this.#stallTimer = setTimeout(() => {
      const text = `nothing was read for ${stalledStreamTimeoutMs} ms, and others share the tunnel`;
      this.reset(new TunnelError('limit_reached', text));
    }, stalledStreamTimeoutMs);
    this.#host.onFull(this);
  }

  #leaveFull(): void {
    clearTimeout(this.#stallTimer);
    this.#stallTimer = undefined;
    this.#host.onNotFull(this);
  }
}
