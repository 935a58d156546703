import type { TLSSocket } from 'node:tls';

/**
 * Frames have a header of 8 bytes: the type, a number of 3 bytes, and the stream's ID. The number is the length of what
 * follows the header. In WINDOW and frames without payload nothing follows; WINDOW's number is the credit in bytes.
 */
const Type = { OPEN: 1, OPENED: 2, DATA: 3, FIN: 4, RESET: 5, WINDOW: 6 } as const;
const headerBytes = 8;

/** A stream's window. The receiver returns credit when half of it is consumed. */
export const windowBytes = 1024 * 1024;
export const creditBytes = windowBytes / 2;

/** Holds the frames of several ticks of bulk. An OPEN is far shorter. */
const bufferBytes = 256 * 1024;

/** What the tunnel calls for a stream's frames. */
export interface FloorStream {
  onOpened(): void;
  /** @returns whether the bytes are still needed after the call */
  onData(bytes: Buffer): boolean;
  onFin(): void;
  onReset(): void;
  onWindow(bytes: number): void;
}

/** One TLS connection that carries streams. All frames of a tick of the event loop leave in one write. */
export class Tunnel {
  /** Whether a stream needs bytes of the last chunks after `receive`. The owner of the chunks sets it to false. */
  isHolding = false;
  readonly #socket: TLSSocket;
  readonly #onOpen: (id: number, address: string) => void;
  readonly #streams = new Map<number, FloorStream>();
  #nextId = 1;
  /** The received part of a header or an OPEN. */
  #rest: Buffer | undefined;
  /** The stream and the missing bytes of a DATA frame that a read has cut. */
  #dataStream: FloorStream | undefined;
  #dataBytes = 0;
  #buffer: Buffer = Buffer.allocUnsafeSlow(bufferBytes);
  #filled = 0;
  /** Full buffers, in order. */
  readonly #waiting: Buffer[] = [];
  /** A buffer without bytes, kept for reuse. */
  #spare: Buffer | undefined;
  #writing: Buffer | undefined;
  #isFlushPlanned = false;
  readonly #flushNow = () => {
    this.#isFlushPlanned = false;
    this.#flush();
  };
  readonly #onWritten = () => {
    // A buffer that was full but for a few bytes is a shorter view.
    if (this.#writing?.length === bufferBytes) this.#spare = this.#writing;
    this.#writing = undefined;
    this.#flush();
  };

  /** @param onOpen called for the peer's OPEN frames */
  constructor(socket: TLSSocket, onOpen: (id: number, address: string) => void) {
    this.#socket = socket;
    this.#onOpen = onOpen;
  }

  add(id: number, stream: FloorStream): void {
    this.#streams.set(id, stream);
  }

  /** Both directions have ended, or the stream was reset. */
  remove(id: number): void {
    this.#streams.delete(id);
  }

  /** Sends OPEN. @param address bytes of `host:port` */
  open(stream: FloorStream, address: Buffer): number {
    const id = this.#nextId++;
    this.#streams.set(id, stream);
    this.#header(Type.OPEN, address.length, id);
    this.#copy(address);
    return id;
  }

  opened(id: number): void {
    this.#header(Type.OPENED, 0, id);
  }

  data(id: number, bytes: Buffer): void {
    this.#header(Type.DATA, bytes.length, id);
    this.#copy(bytes);
  }

  fin(id: number): void {
    this.#header(Type.FIN, 0, id);
  }

  /** Also the answer to an OPEN whose dial failed. */
  reset(id: number): void {
    this.#streams.delete(id);
    this.#header(Type.RESET, 0, id);
  }

  window(id: number, bytes: number): void {
    this.#header(Type.WINDOW, bytes, id);
  }

  close(): void {
    for (const stream of this.#streams.values()) stream.onReset();
    this.#streams.clear();
    this.#socket.destroy();
  }

  receive(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#rest !== undefined) {
      bytes = Buffer.concat([this.#rest, chunk]);
      this.#rest = undefined;
    }
    const end = bytes.length;
    let at = 0;
    while (at < end) {
      if (this.#dataBytes > 0) {
        const until = Math.min(at + this.#dataBytes, end);
        this.#dataBytes -= until - at;
        if (this.#dataStream?.onData(bytes.subarray(at, until))) this.isHolding = true;
        at = until;
        continue;
      }
      if (end - at < headerBytes) break;
      const number = (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
      const id = bytes.readUInt32BE(at + 4);
      if (bytes[at] === Type.OPEN) {
        const until = at + headerBytes + number;
        if (until > end) break;
        this.#onOpen(id, bytes.toString('latin1', at + headerBytes, until));
        at = until;
      } else {
        this.#onFrame(bytes[at]!, number, this.#streams.get(id));
        at += headerBytes;
      }
    }
    if (at < end) this.#rest = Buffer.from(bytes.subarray(at));
  }

  #onFrame(type: number, number: number, stream: FloorStream | undefined): void {
    if (type === Type.DATA) {
      this.#dataStream = stream;
      this.#dataBytes = number;
    } else if (type === Type.OPENED) stream?.onOpened();
    else if (type === Type.FIN) stream?.onFin();
    else if (type === Type.RESET) stream?.onReset();
    else if (type === Type.WINDOW) stream?.onWindow(number);
    else throw new Error(`unknown frame type ${type}`);
  }

  #header(type: number, number: number, id: number): void {
    if (this.#filled + headerBytes > bufferBytes) this.#rotate();
    const buffer = this.#buffer;
    const at = this.#filled;
    buffer[at] = type;
    buffer[at + 1] = number >>> 16;
    buffer[at + 2] = number >>> 8;
    buffer[at + 3] = number;
    buffer[at + 4] = id >>> 24;
    buffer[at + 5] = id >>> 16;
    buffer[at + 6] = id >>> 8;
    buffer[at + 7] = id;
    this.#filled = at + headerBytes;
    if (this.#isFlushPlanned || this.#writing !== undefined) return;
    this.#isFlushPlanned = true;
    setImmediate(this.#flushNow);
  }

  #copy(bytes: Buffer): void {
    let from = 0;
    while (from < bytes.length) {
      if (this.#filled === bufferBytes) this.#rotate();
      // At the buffer's end, `copy` copies only what fits.
      const copied = bytes.copy(this.#buffer, this.#filled, from);
      this.#filled += copied;
      from += copied;
    }
  }

  #rotate(): void {
    this.#waiting.push(this.#buffer.subarray(0, this.#filled));
    this.#buffer = this.#takeSpare();
    this.#filled = 0;
  }

  #takeSpare(): Buffer {
    const spare = this.#spare;
    this.#spare = undefined;
    return spare ?? Buffer.allocUnsafeSlow(bufferBytes);
  }

  /** Starts one write at a time, because Node copies the buffers of writes that wait. */
  #flush(): void {
    if (this.#writing !== undefined) return;
    const full = this.#waiting.shift();
    if (full !== undefined) {
      this.#writing = full;
      this.#socket.write(full, this.#onWritten);
    } else if (this.#filled > 0) {
      const buffer = this.#buffer;
      const bytes = buffer.subarray(0, this.#filled);
      this.#writing = buffer;
      this.#buffer = this.#takeSpare();
      this.#filled = 0;
      this.#socket.write(bytes, this.#onWritten);
    }
  }
}
