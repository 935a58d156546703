import type {
  OpeningHandler,
  StreamHandler,
  Target,
  TunnelError,
  TunnelStream,
} from '@fairlead/protocol';
import type { Pace } from './pace.ts';

/** The bandwidth of one tunnel. */
export interface TunnelPace {
  readonly toAgent: Pace;
  readonly fromAgent: Pace;
}

/**
 * A stream that shares its tunnel's bandwidth: towards the agent the writer is told to wait, from it the
 * credit is given back later. Nothing is held here, and no other tunnel notices.
 */
export class PacedStream implements TunnelStream {
  readonly #stream: TunnelStream;
  readonly #pace: TunnelPace;
  #handler: StreamHandler | OpeningHandler | undefined;
  /** The stream itself asked the writer to wait. */
  #isFull = false;
  #isWaitingToWrite = false;
  #uncreditedBytes = 0;
  #isWaitingToCredit = false;

  constructor(stream: TunnelStream, pace: TunnelPace) {
    this.#stream = stream;
    this.#pace = pace;
  }

  get id(): number {
    return this.#stream.id;
  }

  get target(): Target {
    return this.#stream.target;
  }

  get pendingBytes(): number {
    return this.#stream.pendingBytes;
  }

  get isClosed(): boolean {
    return this.#stream.isClosed;
  }

  get halfCloses(): boolean {
    return this.#stream.halfCloses ?? true;
  }

  attach(handler: StreamHandler | OpeningHandler): void {
    this.#handler = handler;
    if (!handler.onData) {
      this.#stream.attach(handler);
      return;
    }
    this.#stream.attach({
      onData: (chunk) => handler.onData(chunk),
      onEnd: () => handler.onEnd(),
      onDrain: () => {
        this.#isFull = false;
        if (!this.#isWaitingToWrite) handler.onDrain();
      },
      onClose: (error) => handler.onClose(error),
    });
  }

  accept(): void {
    this.#stream.accept();
  }

  refuse(error: TunnelError): void {
    this.#stream.refuse(error);
  }

  write(chunk: Buffer): boolean {
    if (!this.#stream.write(chunk)) this.#isFull = true;
    if (!this.#pace.toAgent.spend(chunk.length) && !this.#isWaitingToWrite) {
      this.#isWaitingToWrite = true;
      this.#pace.toAgent.whenFree(() => {
        this.#isWaitingToWrite = false;
        if (!this.#isFull && !this.isClosed && this.#handler?.onData) this.#handler.onDrain();
      });
    }
    return !this.#isFull && !this.#isWaitingToWrite;
  }

  end(): void {
    this.#stream.end();
  }

  reset(error: TunnelError): void {
    this.#stream.reset(error);
  }

  consumed(bytes: number): void {
    this.#uncreditedBytes += bytes;
    const mayCredit = this.#pace.fromAgent.spend(bytes);
    if (this.#isWaitingToCredit) return;
    if (mayCredit) {
      this.#credit();
      return;
    }
    this.#isWaitingToCredit = true;
    this.#pace.fromAgent.whenFree(() => {
      this.#isWaitingToCredit = false;
      this.#credit();
    });
  }

  #credit(): void {
    const bytes = this.#uncreditedBytes;
    this.#uncreditedBytes = 0;
    this.#stream.consumed(bytes);
  }
}
