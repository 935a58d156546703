import {
  type MemoryBudget,
  type OpeningHandler,
  type StreamHandler,
  type Target,
  TunnelError,
  type TunnelStream,
} from '@fairlead/protocol';

/** What a connection may hold for a consumer that does not take it. */
const maxHeldBytes = 1024 * 1024;
/** A connection that was full takes more from here on. */
const lowHeldBytes = 512 * 1024;

/** What a connection needs of the tunnel that it is part of. */
export interface ConnectionHost {
  readonly memory: MemoryBudget;
  /** How long a full connection may make no progress before it is reset. */
  readonly stalledStreamTimeoutMs: number;
  /** @returns false: the connection hears `onRoom` later */
  sendData(connection: Connection, data: Buffer): boolean;
  /** Nothing is to be read from the tunnel for as long as any connection is full. */
  onFull(connection: Connection): void;
  onNotFull(connection: Connection): void;
  /** The connection is over. */
  onClosed(connection: Connection): void;
}

export type ConnectionPhase = 'offered' | 'open' | 'closed';

let lastId = 0;

/**
 * One connection of many on a packet tunnel, with the surface of a stream of docs/spec.md, so that whoever
 * relays one relays the other. This is what both ends have in common: bytes, and holding back. How a
 * connection is opened and ended differs by end, and so by subclass.
 *
 * The wire has no credit per connection. All that a full one can do is to stop the whole tunnel, and it
 * may do so only while its consumer makes progress.
 */
export abstract class Connection implements TunnelStream {
  /** For logs; of this process, not of the wire. */
  readonly id = ++lastId;
  readonly target: Target;
  readonly halfCloses = false;
  /** Written bytes are the tunnel's at once. */
  readonly pendingBytes = 0;
  /** The agent's number for it; 0 while it is offered. */
  connectId = 0n;
  protected phase: ConnectionPhase;
  /** This side has ended its direction. */
  protected ended = false;
  /** The peer has ended its direction, or all of the connection. */
  protected peerEnded = false;
  readonly #host: ConnectionHost;
  #handler: StreamHandler | OpeningHandler | undefined;
  /** What arrived before there was a consumer. */
  #unclaimed: Buffer[] = [];
  #heldBytes = 0;
  /** Runs while the connection is full. */
  #stallTimer: NodeJS.Timeout | undefined;
  #closeError: TunnelError | undefined;

  constructor(target: Target, phase: ConnectionPhase, host: ConnectionHost) {
    this.target = target;
    this.phase = phase;
    this.#host = host;
  }

  set handler(handler: StreamHandler | OpeningHandler) {
    this.#handler = handler;
    if (this.isClosed) {
      handler.onClose(this.#closeError);
      return;
    }
    if (!handler.onData) return;
    for (const data of this.#unclaimed.splice(0)) if (!this.isClosed) handler.onData(data);
    if (this.peerEnded && !this.isClosed) handler.onEnd();
  }

  get isClosed(): boolean {
    return this.phase === 'closed';
  }

  /** Bytes that the consumer was given and has not taken, or that wait for one. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  abstract accept(): void;
  abstract refuse(error: TunnelError): void;
  abstract end(): void;
  abstract reset(error: TunnelError): void;
  /** Bytes of the peer came or were taken. */
  protected onActivity(): void {}

  write(chunk: Buffer): boolean {
    // After the peer's end nobody takes bytes any more, as after a RST that is still under way.
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

  /** DATA from the peer. */
  onData(data: Buffer): void {
    if (this.isClosed || this.peerEnded || data.length === 0) return;
    this.onActivity();
    this.#heldBytes += data.length;
    this.#host.memory.hold(data.length);
    // Counting the bytes may have reset this very connection.
    if (this.isClosed) return;
    if (this.#heldBytes >= maxHeldBytes && !this.#stallTimer) this.#enterFull();
    if (this.#handler?.onData) this.#handler.onData(data);
    else this.#unclaimed.push(data);
  }

  /** `write` may go on. */
  onRoom(): void {
    if (this.#handler?.onData) this.#handler.onDrain();
  }

  /** The tunnel is gone; nothing is sent. */
  onTunnelLost(error: TunnelError): void {
    this.close(error);
  }

  /** The peer's direction is over: tells the consumer after all that arrived. */
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
