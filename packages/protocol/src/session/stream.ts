import { ChunkQueue } from '../flow/chunk-queue.ts';
import type { StalledStream } from '../flow/memory-budget.ts';
import { ReceiveWindow, type WindowLimits } from '../flow/receive-window.ts';
import type { Sender } from '../flow/send-scheduler.ts';
import type { TunnelWriter } from '../flow/tunnel-writer.ts';
import { TunnelError } from '../wire/errors.ts';
import { INITIAL_WINDOW_BYTES, MAX_CREDIT_BYTES, type Target } from '../wire/frame.ts';

/** `write` returns false while this much waits. */
const HIGH_WATER_BYTES = 131_072;
/** The same if the peer has given credit for it: what fills one flush (tunnel-writer.ts). */
const CREDITED_HIGH_WATER_BYTES = 262_144;
/** `onDrain` is called when less than this waits. */
const LOW_WATER_BYTES = 65_536;

/** The consumer of a stream. `onClose` is called exactly once, and last. */
export interface StreamHandler {
  /** On the opener's side: the agent has reached the target. */
  onOpened?(): void;
  /** The consumer calls `stream.consumed(chunk.length)` when it has taken the bytes. */
  onData(chunk: Buffer): void;
  /** The peer has ended its direction. */
  onEnd(): void;
  /** There is room again after `write` returned false. */
  onDrain(): void;
  /** There is no error if both directions ended in order. */
  onClose(error?: TunnelError): void;
}

/** Waits for OPENED. Bytes that arrive after it are held until a StreamHandler is attached. */
export type OpeningHandler = Pick<StreamHandler, 'onOpened' | 'onClose'> & { onData?: never };

/** One proxied TCP connection inside a tunnel. */
export interface TunnelStream {
  readonly id: number;
  readonly target: Target;
  /** Written bytes that are not yet handed to the tunnel. */
  readonly pendingBytes: number;
  readonly isClosed: boolean;
  /** False if the wire has no half-close: then `end` reaches the far side only when both directions are closed. */
  readonly halfCloses?: boolean;
  /**
   * Sets the consumer, replacing an earlier one. Within the call, it gets the bytes and the end that arrived before,
   * or `onClose` if the stream is closed.
   */
  attach(handler: StreamHandler | OpeningHandler): void;
  /** On the acceptor's side: the target is connected. */
  accept(): void;
  /** On the acceptor's side: the target cannot be reached. Ends the stream. */
  refuse(error: TunnelError): void;
  /** Sends a chunk, which belongs to the stream from here on. @returns false if the caller must wait for `onDrain` */
  write(chunk: Buffer): boolean;
  /** Ends this direction after all written bytes. */
  end(): void;
  /** Ends both directions at once and sends the peer the reason. Does nothing if the stream is closed. */
  reset(error: TunnelError): void;
  /** Gives the peer credit for bytes that the consumer has taken (spec 4.4). */
  consumed(bytes: number): void;
}

/** A stream that is accepted: what a relay needs. */
export type RelayedStream = Omit<TunnelStream, 'id' | 'target' | 'accept' | 'refuse'>;

/** What the streams of a session have in common. */
export interface StreamHost extends WindowLimits {
  readonly writer: TunnelWriter;
  /** The stream is closed and sends nothing more. */
  onClosed(stream: SessionStream): void;
}

/** A stream of a session: the public surface, what the writer asks for, and what frames do. */
export class SessionStream implements TunnelStream, Sender, StalledStream {
  readonly id: number;
  readonly target: Target;

  // Only send-scheduler.ts uses these.
  next: SessionStream | undefined;
  queue: unknown;
  deficit = 0;

  readonly #host: StreamHost;
  readonly #window: ReceiveWindow;
  #handler: StreamHandler | OpeningHandler;
  /** Pieces that arrived before a consumer was attached; at most the first window. */
  #unclaimed: ChunkQueue | undefined;
  #closeError: TunnelError | undefined;
  #phase: 'opening' | 'offered' | 'open' | 'closed';
  #creditBytes = INITIAL_WINDOW_BYTES;
  /** Written and not yet sent. */
  readonly #pending = new ChunkQueue();
  #wantsDrain = false;
  #ending = false;
  #finSent = false;
  #peerEnded = false;

  constructor(
    id: number,
    target: Target,
    phase: 'opening' | 'offered',
    host: StreamHost,
    handler: StreamHandler | OpeningHandler,
  ) {
    this.id = id;
    this.target = target;
    this.#handler = handler;
    this.#phase = phase;
    this.#host = host;
    this.#window = new ReceiveWindow(host);
  }

  attach(handler: StreamHandler | OpeningHandler): void {
    this.#handler = handler;
    if (this.#phase === 'closed') return handler.onClose(this.#closeError);
    if (!handler.onData) return;
    const unclaimed = this.#unclaimed;
    this.#unclaimed = undefined;
    for (const piece of unclaimed?.takeAll() ?? []) if (!this.isClosed) handler.onData(piece);
    if (this.#peerEnded && !this.isClosed) handler.onEnd();
  }

  get pendingBytes(): number {
    return this.#pending.bytes;
  }

  get isClosed(): boolean {
    return this.#phase === 'closed';
  }

  get isOpening(): boolean {
    return this.#phase === 'opening';
  }

  /** Bytes that this process holds because the consumer or the peer does not take them. */
  get heldBytes(): number {
    return this.#pending.bytes + this.#window.heldBytes;
  }

  accept(): void {
    if (this.#phase !== 'offered') return;
    this.#phase = 'open';
    const { writer } = this.#host;
    writer.control.opened(this.id);
    writer.schedule();
    this.#announce();
  }

  refuse(error: TunnelError): void {
    if (this.#phase !== 'offered') return;
    this.#sendOpenFailed(error);
    this.#close(error);
  }

  write(chunk: Buffer): boolean {
    if (this.#phase === 'closed' || this.#ending) return true;
    if (chunk.length > 0) {
      this.#pending.push(chunk);
      this.#host.memory.hold(chunk.length);
      this.#announce();
    }
    const isCredited = this.#creditBytes >= CREDITED_HIGH_WATER_BYTES;
    const highWaterBytes = isCredited ? CREDITED_HIGH_WATER_BYTES : HIGH_WATER_BYTES;
    if (this.#pending.bytes < highWaterBytes) return true;
    this.#wantsDrain = true;
    return false;
  }

  end(): void {
    if (this.#phase === 'closed' || this.#ending) return;
    this.#ending = true;
    this.#announce();
  }

  reset(error: TunnelError): void {
    if (this.#phase === 'closed') return;
    if (this.#phase === 'offered') {
      this.#sendOpenFailed(error);
    } else {
      const { writer } = this.#host;
      writer.control.reset(this.id, error);
      writer.schedule();
    }
    this.#close(error);
  }

  resetForMemory(): void {
    this.reset(new TunnelError('memory_limit', `the stream held ${this.heldBytes} bytes`));
  }

  consumed(bytes: number): void {
    if (this.#phase === 'closed') return;
    const increment = this.#window.onConsumed(bytes);
    if (this.#peerEnded) return this.#closeIfDone();
    if (increment === 0) return;
    const { writer } = this.#host;
    writer.control.window(this.id, increment);
    writer.schedule();
  }

  // What the writer asks for (send-scheduler.ts).

  get sendableBytes(): number {
    return Math.min(this.#pending.bytes, this.#creditBytes);
  }

  get finIsDue(): boolean {
    return this.#ending && !this.#finSent && this.#pending.bytes === 0 && this.#phase === 'open';
  }

  takeInto(buffer: Buffer, at: number, bytes: number): void {
    this.#pending.takeInto(buffer, at, bytes);
    this.#creditBytes -= bytes;
    this.#host.memory.release(bytes);
  }

  onFinSent(): void {
    this.#finSent = true;
    this.#closeIfDone();
  }

  /** Notifies a consumer that waits for room. */
  drainIfLow(): void {
    if (!this.#wantsDrain || this.#pending.bytes >= LOW_WATER_BYTES || this.isClosed) return;
    this.#wantsDrain = false;
    if (this.#handler.onData) this.#handler.onDrain();
  }

  // What frames do (session.ts).

  onOpened(): void {
    if (this.#phase !== 'opening') {
      throw new TunnelError('protocol_error', `OPENED for stream ${this.id}, which is not opening`);
    }
    this.#phase = 'open';
    this.#handler.onOpened?.();
    this.#announce();
  }

  onOpenFailed(error: TunnelError): void {
    if (this.#phase !== 'opening') {
      throw new TunnelError(
        'protocol_error',
        `OPEN_FAILED for stream ${this.id}, which is not opening`,
      );
    }
    this.#close(error);
  }

  onData(piece: Buffer): void {
    if (this.#phase !== 'open') {
      throw new TunnelError('protocol_error', `DATA for stream ${this.id} before OPENED`);
    }
    if (this.#peerEnded) {
      throw new TunnelError('stream_closed', `DATA after FIN on stream ${this.id}`);
    }
    if (piece.length === 0) return;
    this.#window.onReceived(piece.length);
    // Counting the bytes can reset this stream (spec 4.6).
    if (this.isClosed) return;
    if (this.#handler.onData) this.#handler.onData(piece);
    else {
      this.#unclaimed ??= new ChunkQueue();
      this.#unclaimed.push(piece);
    }
  }

  onFin(): void {
    if (this.#phase !== 'open') {
      throw new TunnelError('protocol_error', `FIN for stream ${this.id} before OPENED`);
    }
    if (this.#peerEnded) return;
    this.#peerEnded = true;
    if (this.#handler.onData) this.#handler.onEnd();
    this.#closeIfDone();
  }

  /** RESET from the peer, or the end of the tunnel. Nothing is sent. */
  onReset(error: TunnelError): void {
    // If both directions have ended, the consumer has all bytes and only has to take them.
    this.#close(this.#peerEnded && this.#finSent ? undefined : error);
  }

  onWindow(incrementBytes: number): void {
    this.#creditBytes += incrementBytes;
    if (this.#creditBytes > MAX_CREDIT_BYTES) {
      throw new TunnelError('flow_control_error', `the credit of stream ${this.id} overflows`);
    }
    this.#announce();
  }

  #sendOpenFailed(error: TunnelError): void {
    const { writer } = this.#host;
    writer.control.openFailed(this.id, error);
    writer.schedule();
  }

  #announce(): void {
    if (this.#phase === 'open' && (this.sendableBytes > 0 || this.finIsDue)) {
      this.#host.writer.add(this);
    }
  }

  /** Closes when both directions have ended and the consumer has taken all bytes. Until then they count as held. */
  #closeIfDone(): void {
    if (this.#peerEnded && this.#finSent && this.#window.heldBytes === 0) this.#close();
  }

  #close(error?: TunnelError): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#host.memory.release(this.#pending.bytes);
    this.#pending.clear();
    this.#ending = true;
    this.#window.close();
    this.#host.onClosed(this);
    this.#unclaimed = undefined;
    this.#closeError = error;
    this.#handler.onClose(error);
  }
}
