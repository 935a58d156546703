import { ChunkQueue } from '../flow/chunk-queue.ts';
import type { StalledStream } from '../flow/memory-budget.ts';
import { ReceiveWindow, type WindowLimits } from '../flow/receive-window.ts';
import type { Sender } from '../flow/send-scheduler.ts';
import { TunnelError } from '../wire/errors.ts';
import { INITIAL_WINDOW_BYTES, MAX_CREDIT_BYTES, type Target } from '../wire/frame.ts';

/** `write` returns false from here on; the writer waits for `onDrain`. */
const HIGH_WATER_BYTES = 131_072;
/** The same while the peer has given credit for it: what fills one flush (tunnel-writer.ts). */
const CREDITED_HIGH_WATER_BYTES = 262_144;
/** `onDrain` comes when less than this waits. */
const LOW_WATER_BYTES = 65_536;

/** What a stream tells its consumer. `onClose` comes exactly once, and last. */
export interface StreamHandler {
  /** On the opener's side: the agent has reached the target. */
  onOpened?(): void;
  /** The consumer calls `stream.consumed(chunk.length)` once it has taken the bytes. */
  onData(chunk: Buffer): void;
  /** The peer ended its direction. */
  onEnd(): void;
  /** `write` may go on. */
  onDrain(): void;
  /** Without an error: both sides ended in order. */
  onClose(error?: TunnelError): void;
}

/** Enough to wait for OPENED with: what arrives after it is held until a StreamHandler takes over. */
export type OpeningHandler = Pick<StreamHandler, 'onOpened' | 'onClose'> & { onData?: never };

/** One proxied TCP connection inside a tunnel. */
export interface TunnelStream {
  readonly id: number;
  readonly target: Target;
  /**
   * The consumer. A new one gets what arrived while nobody could take it, within the assignment; one
   * that comes too late gets `onClose`.
   */
  set handler(handler: StreamHandler | OpeningHandler);
  /** Bytes written and not yet handed to the tunnel. */
  readonly pendingBytes: number;
  readonly isClosed: boolean;
  /** False on a wire without half-close: there `end` reaches the far side only with the whole close. */
  readonly halfCloses?: boolean;
  /** On the acceptor's side: the target is connected. */
  accept(): void;
  /** On the acceptor's side: the target cannot be had; ends the stream. */
  refuse(error: TunnelError): void;
  /** Sends a chunk, which belongs to the stream from here on. @returns false: wait for `onDrain` */
  write(chunk: Buffer): boolean;
  /** Ends this direction after all that was written. */
  end(): void;
  /** Ends both directions at once and tells the peer why. No-op on a closed stream. */
  reset(error: TunnelError): void;
  /** Gives the peer credit for bytes that the consumer took (spec 4.4). */
  consumed(bytes: number): void;
}

/** What a stream needs of its session. */
export interface StreamHost extends WindowLimits {
  sendOpened(streamId: number): void;
  sendOpenFailed(streamId: number, error: TunnelError): void;
  sendReset(streamId: number, error: TunnelError): void;
  sendWindow(streamId: number, incrementBytes: number): void;
  /** The stream has something to send now. */
  onReady(stream: SessionStream): void;
  /** The stream is closed; nothing more of it will be sent. */
  onClosed(stream: SessionStream): void;
}

type Phase = 'opening' | 'offered' | 'open' | 'closed';

/** The session's side of a stream: the public surface, and what frames do to it. */
export class SessionStream implements TunnelStream, Sender, StalledStream {
  readonly id: number;
  readonly target: Target;

  // The stream's place in the order of turns; only send-scheduler.ts touches these.
  next: SessionStream | undefined;
  list: unknown;
  deficit = 0;

  readonly #host: StreamHost;
  readonly #window: ReceiveWindow;
  #handler: StreamHandler | OpeningHandler;
  /** Pieces that arrived before there was a consumer; within the first window. */
  #unclaimed: ChunkQueue | undefined;
  #closeError: TunnelError | undefined;
  #phase: Phase;
  #creditBytes = INITIAL_WINDOW_BYTES;
  /** What is to be sent. */
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

  set handler(handler: StreamHandler | OpeningHandler) {
    this.#handler = handler;
    if (this.#phase === 'closed') {
      handler.onClose(this.#closeError);
      return;
    }
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

  /** Bytes that the process holds because a consumer or the peer does not take them. */
  get heldBytes(): number {
    return this.#pending.bytes + this.#window.heldBytes;
  }

  accept(): void {
    if (this.#phase !== 'offered') return;
    this.#phase = 'open';
    this.#host.sendOpened(this.id);
    this.#announce();
  }

  refuse(error: TunnelError): void {
    if (this.#phase !== 'offered') return;
    this.#host.sendOpenFailed(this.id, error);
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
    if (this.#phase === 'offered') this.#host.sendOpenFailed(this.id, error);
    else this.#host.sendReset(this.id, error);
    this.#close(error);
  }

  resetForMemory(): void {
    this.reset(new TunnelError('memory_limit', `the stream held ${this.heldBytes} bytes`));
  }

  consumed(bytes: number): void {
    if (this.#phase === 'closed') return;
    const increment = this.#window.onConsumed(bytes);
    if (this.#peerEnded) this.#closeIfDone();
    else if (increment > 0) this.#host.sendWindow(this.id, increment);
  }

  // What the turns ask for (send-scheduler.ts).

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

  /** Tells the writer that there is room, if it waits for it. */
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
    // Counting the bytes may have reset this very stream (spec 4.6).
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

  /** RESET from the peer, or the end of the tunnel: nothing is sent. */
  onReset(error: TunnelError): void {
    // Both sides have ended and only the consumer is not done: what it was given is whole.
    this.#close(this.#peerEnded && this.#finSent ? undefined : error);
  }

  onWindow(incrementBytes: number): void {
    this.#creditBytes += incrementBytes;
    if (this.#creditBytes > MAX_CREDIT_BYTES) {
      throw new TunnelError('flow_control_error', `the credit of stream ${this.id} overflows`);
    }
    this.#announce();
  }

  #announce(): void {
    if (this.#phase === 'open' && (this.sendableBytes > 0 || this.finIsDue)) {
      this.#host.onReady(this);
    }
  }

  /** Both directions have ended, and the consumer has taken everything: until then it counts as held. */
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
