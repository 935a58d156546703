import type { StreamHandler, TunnelError, TunnelStream } from '@fairlead/protocol';
import { Changes } from '@fairlead/testkit';

/** A consumer that records its calls. */
export class RecordingHandler implements StreamHandler {
  readonly chunks: Buffer[] = [];
  bytes = 0;
  ends = 0;
  drains = 0;
  closes: (TunnelError | undefined)[] = [];
  readonly #stream: TunnelStream;
  readonly #consumes: boolean;
  readonly #changes = new Changes();

  /** @param consumes whether bytes count as consumed at once */
  constructor(stream: TunnelStream, consumes = true) {
    this.#stream = stream;
    this.#consumes = consumes;
    stream.attach(this);
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  onData(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.bytes += chunk.length;
    if (this.#consumes) this.#stream.consumed(chunk.length);
    this.#changes.notify();
  }

  onEnd(): void {
    this.ends += 1;
    this.#changes.notify();
  }

  onDrain(): void {
    this.drains += 1;
    this.#changes.notify();
  }

  onClose(error?: TunnelError): void {
    this.closes.push(error);
    this.#changes.notify();
  }

  /** Waits until the condition is true. It is checked after every event. */
  async until(condition: () => boolean): Promise<void> {
    await this.#changes.until(condition);
  }
}
