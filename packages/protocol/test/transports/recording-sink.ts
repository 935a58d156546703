import { createHash } from 'node:crypto';
import type { Transport, TransportSink } from '@fairlead/protocol';
import { Changes } from '@fairlead/testkit';

/** A sink that records its calls and lets a test wait for them. */
export class RecordingSink implements TransportSink {
  readonly chunks: Buffer[] = [];
  readonly closes: (Error | undefined)[] = [];
  byteCount = 0;
  readonly #changes = new Changes();
  readonly #hash = createHash('sha256');
  readonly #keep: boolean;

  /** @param keep whether to keep the bytes; otherwise they are counted and hashed, for long transfers */
  constructor(keep = true) {
    this.#keep = keep;
  }

  onBytes(chunk: Buffer): void {
    if (this.#keep) this.chunks.push(chunk);
    else this.#hash.update(chunk);
    this.byteCount += chunk.length;
    this.#changes.notify();
  }

  onClose(error?: Error): void {
    this.closes.push(error);
    this.#changes.notify();
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  /** Whether exactly these bytes arrived. */
  got(expected: Buffer): boolean {
    if (this.#keep) return Buffer.concat(this.chunks).equals(expected);
    return this.#hash.copy().digest().equals(createHash('sha256').update(expected).digest());
  }

  async until(condition: () => boolean): Promise<void> {
    await this.#changes.until(condition);
  }

  async bytes(count: number): Promise<void> {
    await this.until(() => this.byteCount >= count);
  }

  async closed(): Promise<Error | undefined> {
    await this.until(() => this.closes.length > 0);
    return this.closes[0];
  }
}

/** Writes without waiting. */
export function send(transport: Transport, ...pieces: (string | Buffer)[]): void {
  transport.write(Buffer.concat(pieces.map((piece) => Buffer.from(piece as string))), () => {});
}
