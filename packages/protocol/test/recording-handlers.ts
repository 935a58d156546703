import { createHash } from 'node:crypto';
import type {
  Hello,
  SessionHandler,
  StreamHandler,
  TunnelError,
  TunnelStream,
} from '@fairlead/protocol';
import { Changes } from '@fairlead/testkit';

/** Lets a test wait for what a handler is told. */
class Recorder {
  readonly #changes = new Changes();

  changed(): void {
    this.#changes.notify();
  }

  async until(condition: () => boolean): Promise<void> {
    await this.#changes.until(condition);
  }
}

/** A stream's consumer that keeps count of what it is told. */
export class RecordingStream extends Recorder implements StreamHandler {
  /** What was told, in order; repeated `data` is listed once. */
  readonly told: ('opened' | 'data' | 'end' | 'drain' | 'close')[] = [];
  readonly chunks: Buffer[] = [];
  byteCount = 0;
  drains = 0;
  error: TunnelError | undefined;
  /** The stream to give credit to; unset, the consumer is stalled. */
  credits: TunnelStream | undefined;
  readonly #hash = createHash('sha256');
  readonly #keep: boolean;

  /** @param keep false: only count and hash, for long transfers */
  constructor(keep = true) {
    super();
    this.#keep = keep;
  }

  onOpened(): void {
    this.#tell('opened');
  }

  onData(chunk: Buffer): void {
    this.byteCount += chunk.length;
    if (this.#keep) this.chunks.push(chunk);
    else this.#hash.update(chunk);
    this.#tell('data');
    this.credits?.consumed(chunk.length);
  }

  onEnd(): void {
    this.#tell('end');
  }

  onDrain(): void {
    this.drains++;
    this.#tell('drain');
  }

  onClose(error?: TunnelError): void {
    this.error = error;
    this.#tell('close');
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  get isClosed(): boolean {
    return this.told.includes('close');
  }

  has(what: RecordingStream['told'][number]): boolean {
    return this.told.includes(what);
  }

  /** Whether just these bytes came. */
  got(expected: Buffer): boolean {
    if (this.#keep) return Buffer.concat(this.chunks).equals(expected);
    return this.#hash.copy().digest().equals(createHash('sha256').update(expected).digest());
  }

  #tell(what: RecordingStream['told'][number]): void {
    if (what !== 'data' || this.told.at(-1) !== 'data') this.told.push(what);
    this.changed();
  }
}

/** A session's owner that keeps what it is told. */
export class RecordingSession extends Recorder implements SessionHandler {
  readonly hellos: Hello[] = [];
  readonly offered: TunnelStream[] = [];
  readonly drainings: TunnelError[] = [];
  readonly closes: (TunnelError | undefined)[] = [];
  /** Calls that came after `onClose`: there must be none. */
  lateCalls = 0;
  /** What to do with a stream that the peer opens. */
  offer: (stream: TunnelStream) => void = () => {};

  onHello(hello: Hello): void {
    this.hellos.push(hello);
    this.#told();
  }

  onOpen(stream: TunnelStream): void {
    this.offered.push(stream);
    this.offer(stream);
    this.#told();
  }

  onDraining(error: TunnelError): void {
    this.drainings.push(error);
    this.#told();
  }

  onClose(error?: TunnelError): void {
    this.#told();
    this.closes.push(error);
    this.changed();
  }

  get isClosed(): boolean {
    return this.closes.length > 0;
  }

  /** Waits for the end and returns its error. */
  async closed(): Promise<TunnelError | undefined> {
    await this.until(() => this.isClosed);
    return this.closes[0];
  }

  #told(): void {
    if (this.isClosed) this.lateCalls++;
    this.changed();
  }
}

/** Writes in pieces, holding back when told to, and ends the direction. */
export async function sendAll(
  stream: TunnelStream,
  handler: RecordingStream,
  payload: Buffer,
  pieceBytes = 50_000,
): Promise<void> {
  for (let at = 0; at < payload.length && !handler.isClosed; at += pieceBytes) {
    const { drains } = handler;
    if (stream.write(payload.subarray(at, at + pieceBytes))) continue;
    await handler.until(() => handler.drains > drains || handler.isClosed);
  }
  stream.end();
}

/** A consumer that takes at once what comes; its own side stays open. */
export function takeAll(stream: TunnelStream, keep = false): RecordingStream {
  const handler = new RecordingStream(keep);
  handler.credits = stream;
  stream.attach(handler);
  return handler;
}
