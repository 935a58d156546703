import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { Transport, TransportSink } from '@fairlead/protocol';

/** A sink that keeps what it is told, and lets a test wait for it. */
export class RecordingSink implements TransportSink {
  readonly chunks: Buffer[] = [];
  readonly closes: (Error | undefined)[] = [];
  byteCount = 0;
  readonly #events = new EventEmitter();
  readonly #hash = createHash('sha256');
  readonly #keep: boolean;

  /** @param keep false: only count and hash, for long transfers */
  constructor(keep = true) {
    this.#keep = keep;
  }

  onBytes(chunk: Buffer): void {
    if (this.#keep) this.chunks.push(chunk);
    this.#hash.update(chunk);
    this.byteCount += chunk.length;
    this.#events.emit('change');
  }

  onClose(error?: Error): void {
    this.closes.push(error);
    this.#events.emit('change');
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  sha256(): string {
    return this.#hash.copy().digest('hex');
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this.#events, 'change');
  }

  async bytes(count: number): Promise<void> {
    await this.until(() => this.byteCount >= count);
  }

  async closed(): Promise<Error | undefined> {
    await this.until(() => this.closes.length > 0);
    return this.closes[0];
  }
}

/** Writes and forgets. */
export function send(transport: Transport, ...pieces: (string | Buffer)[]): void {
  transport.write(Buffer.concat(pieces.map((piece) => Buffer.from(piece as string))), () => {});
}
