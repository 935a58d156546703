import { createHash } from 'node:crypto';
import type {
  Hello,
  SessionHandler,
  StreamHandler,
  TunnelError,
  TunnelStream,
} from '@fairlead/protocol';
import { Changes } from '@fairlead/testkit';

/** Lets a test wait for calls of a handler. */
class Recorder {
  readonly #changes = new Changes();

  changed(): void {
    this.#changes.notify();
  }

  async until(condition: () => boolean): Promise<void> {
    await this.#changes.until(condition);
  }
}

/** A consumer of a stream that records its calls. */
export class RecordingStream extends Recorder implements StreamHandler {
  /** The calls in order; consecutive `data` is listed once. */
  readonly events: ('opened' | 'data' | 'end' | 'drain' | 'close')[] = [];
  readonly chunks: Buffer[] = [];
  byteCount = 0;
  drains = 0;
  error: TunnelError | undefined;
  /** The stream to give credit to. Without it, the consumer is stalled. */
  credits: TunnelStream | undefined;
  readonly #hash = createHash('sha256');
  readonly #keep: boolean;

  /** @param keep whether to keep the bytes; otherwise they are counted and hashed, for long transfers */
  constructor(keep = true) {
    super();
    this.#keep = keep;
  }

  onOpened(): void {
    this.#record('opened');
  }

  onData(chunk: Buffer): void {
    this.byteCount += chunk.length;
    if (this.#keep) this.chunks.push(chunk);
    else this.#hash.update(chunk);
    this.#record('data');
    this.credits?.consumed(chunk.length);
  }

  onEnd(): void {
    this.#record('end');
  }

  onDrain(): void {
    this.drains++;
    this.#record('drain');
  }

  onClose(error?: TunnelError): void {
    this.error = error;
    this.#record('close');
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  get isClosed(): boolean {
    return this.events.includes('close');
  }

  has(what: RecordingStream['events'][number]): boolean {
    return this.events.includes(what);
  }

  /** Whether exactly these bytes arrived. */
  got(expected: Buffer): boolean {
    if (this.#keep) return Buffer.concat(this.chunks).equals(expected);
    return this.#hash.copy().digest().equals(createHash('sha256').update(expected).digest());
  }

  #record(what: RecordingStream['events'][number]): void {
    if (what !== 'data' || this.events.at(-1) !== 'data') this.events.push(what);
    this.changed();
  }
}

/** An owner of a session that records its calls. */
export class RecordingSession extends Recorder implements SessionHandler {
  readonly hellos: Hello[] = [];
  readonly offered: TunnelStream[] = [];
  readonly drainings: TunnelError[] = [];
  readonly closes: (TunnelError | undefined)[] = [];
  /** Calls after `onClose`. There must be none. */
  lateCalls = 0;
  /** Handles a stream that the peer opens. */
  offer: (stream: TunnelStream) => void = () => {};

  onHello(hello: Hello): void {
    this.hellos.push(hello);
    this.#record();
  }

  onOpen(stream: TunnelStream): void {
    this.offered.push(stream);
    this.offer(stream);
    this.#record();
  }

  onDraining(error: TunnelError): void {
    this.drainings.push(error);
    this.#record();
  }

  onClose(error?: TunnelError): void {
    this.#record();
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

  #record(): void {
    if (this.isClosed) this.lateCalls++;
    this.changed();
  }
}

/** Writes in pieces with backpressure, and ends the direction. */
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

/** Attaches a consumer that consumes all bytes and keeps its own direction open. */
export function takeAll(stream: TunnelStream, keep = false): RecordingStream {
  const handler = new RecordingStream(keep);
  handler.credits = stream;
  stream.attach(handler);
  return handler;
}
