import type { Http2Stream } from './stream.ts';
import { ErrorCode, Http2Error } from './wire/frames.ts';

/** How many streams that this side reset are remembered: frames that were under way are ignored. */
const MAX_REMEMBERED = 1_000;

/** The streams of a connection by ID. */
export class StreamTable {
  readonly #open = new Map<number, Http2Stream>();
  /** Streams that this side reset, in order. */
  readonly #reset = new Set<number>();
  #lastId = 0;

  get size(): number {
    return this.#open.size;
  }

  /** The highest ID that the client has used. */
  get lastId(): number {
    return this.#lastId;
  }

  get(id: number): Http2Stream | undefined {
    return this.#open.get(id);
  }

  values(): IterableIterator<Http2Stream> {
    return this.#open.values();
  }

  /** The client uses an ID for the first time. */
  use(id: number): void {
    this.#lastId = id;
  }

  add(stream: Http2Stream): void {
    this.#open.set(stream.id, stream);
  }

  /** @param wasReset whether this side reset the stream */
  delete(id: number, wasReset: boolean): void {
    this.#open.delete(id);
    if (!wasReset) return;
    this.#reset.add(id);
    if (this.#reset.size <= MAX_REMEMBERED) return;
    const [oldest] = this.#reset;
    this.#reset.delete(oldest!);
  }

  /** Whether this side reset the stream lately. */
  wasReset(id: number): boolean {
    return this.#reset.has(id);
  }

  /** @throws Http2Error if the client has not opened the stream: then only HEADERS and PRIORITY are allowed */
  requireUsed(id: number): void {
    if (id !== 0 && id % 2 === 1 && id <= this.#lastId) return;
    throw new Http2Error(ErrorCode.PROTOCOL_ERROR, `stream ${id} is idle`);
  }
}
