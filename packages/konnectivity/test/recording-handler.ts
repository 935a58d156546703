import type { StreamHandler, TunnelError, TunnelStream } from '@fairlead/protocol';

/** A consumer that keeps what it hears, and takes bytes only when told. */
export class RecordingHandler implements StreamHandler {
  readonly chunks: Buffer[] = [];
  bytes = 0;
  ends = 0;
  drains = 0;
  closes: (TunnelError | undefined)[] = [];
  readonly #stream: TunnelStream;
  readonly #takes: boolean;
  readonly #checks = new Set<() => void>();

  /** @param takes whether bytes count as consumed at once */
  constructor(stream: TunnelStream, takes = true) {
    this.#stream = stream;
    this.#takes = takes;
    stream.handler = this;
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  onData(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.bytes += chunk.length;
    if (this.#takes) this.#stream.consumed(chunk.length);
    this.#check();
  }

  onEnd(): void {
    this.ends += 1;
    this.#check();
  }

  onDrain(): void {
    this.drains += 1;
    this.#check();
  }

  onClose(error?: TunnelError): void {
    this.closes.push(error);
    this.#check();
  }

  /** Waits until it holds, which is asked after every event. */
  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!holds()) return;
        this.#checks.delete(check);
        resolve();
      };
      this.#checks.add(check);
      check();
    });
  }

  #check(): void {
    for (const check of [...this.#checks]) check();
  }
}
