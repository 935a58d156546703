import type { Socket } from 'node:net';
import { ChunkQueue } from '@fairlead/protocol';
import type { Http2Stream } from './stream.ts';
import {
  DEFAULT_WINDOW_BYTES,
  Flag,
  FRAME_BYTES,
  FRAME_HEADER_BYTES,
  FrameType,
  MAX_WINDOW_BYTES,
  streamIdOf,
  writeFrameHeader,
} from './wire/frames.ts';

/** What may wait in the socket. Beyond it, streams wait for 'drain'. */
const SOCKET_BYTES = 262_144;
/** What a stream may send before the next one sends. */
const QUANTUM_BYTES = 65_536;
/** A tick's frames up to this size leave in one buffer: copying is cheaper than a vectored write. */
const COPIED_BYTES = 4_096;

/** Writers with something to send at the end of this tick of the event loop. */
const due: ConnectionWriter[] = [];

function flushAll(): void {
  for (const writer of due.splice(0)) writer.flush();
}

/**
 * Sends the frames of a connection. All frames of one tick leave in one system call. Control frames go first. Streams
 * take turns, and wait while the socket or a window is full.
 */
export class ConnectionWriter {
  readonly #socket: Socket;
  readonly #memory: { hold(bytes: number): void; release(bytes: number): void };
  readonly #control = new ChunkQueue();
  #hasStreamFrames = false;
  /** Streams that have something to send, in the order of their turns. */
  readonly #ready = new Set<Http2Stream>();
  /** Streams that wait for the connection's window. */
  readonly #blocked = new Set<Http2Stream>();
  /** The frames of this tick, with their sizes. */
  #batch: Buffer[] = [];
  #batchBytes = 0;
  /** Called when the batch has left. */
  #sent: (() => void)[] = [];
  #windowBytes = DEFAULT_WINDOW_BYTES;
  /** The longest payload that the client accepts. */
  maxFrameBytes = FRAME_BYTES;
  #isDue = false;
  #isClosed = false;

  constructor(socket: Socket, memory: { hold(bytes: number): void; release(bytes: number): void }) {
    this.#socket = socket;
    this.#memory = memory;
    socket.on('drain', () => this.flush());
  }

  /** Control frames that the client has not let us send. */
  get waitingControlBytes(): number {
    return this.#control.bytes;
  }

  /** Whether frames of a stream are among the waiting control frames, and not only of the connection. */
  get hasStreamFrames(): boolean {
    return this.#hasStreamFrames;
  }

  /** Sends a frame that no window limits. */
  sendControl(frame: Buffer): void {
    if (this.#isClosed) return;
    if (streamIdOf(frame) !== 0) this.#hasStreamFrames = true;
    this.#memory.hold(frame.length);
    this.#control.push(frame);
    this.#schedule();
  }

  /** Lets a stream send what it has. */
  add(stream: Http2Stream): void {
    if (this.#isClosed) return;
    this.#ready.add(stream);
    this.#schedule();
  }

  /** @returns false if the connection's window is now too large */
  addWindow(bytes: number): boolean {
    this.#windowBytes += bytes;
    for (const stream of this.#blocked) this.add(stream);
    this.#blocked.clear();
    return this.#windowBytes <= MAX_WINDOW_BYTES;
  }

  /** Sends what can be sent now. */
  flush(): void {
    const socket = this.#socket;
    const canWrite = !this.#isClosed && !socket.destroyed && !socket.writableNeedDrain;
    const served = canWrite ? this.#gather() : [];
    this.#isDue = false;
    this.#writeBatch();
    for (const stream of served) stream.drainIfLow();
  }

  /** Sends what waits, then ends the connection. */
  end(): void {
    this.flush();
    this.close();
    this.#socket.end();
  }

  /** Drops what waits. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#memory.release(this.#control.bytes);
    this.#control.clear();
    this.#ready.clear();
    this.#blocked.clear();
  }

  #schedule(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    if (due.length === 0) setImmediate(flushAll);
    due.push(this);
  }

  /** Moves frames into the batch. @returns the streams that had a turn */
  #gather(): Http2Stream[] {
    // What is added meanwhile leaves with this batch.
    this.#isDue = true;
    this.#gatherControl();
    const served: Http2Stream[] = [];
    for (const stream of this.#ready) {
      if (this.#socket.writableLength + this.#batchBytes >= SOCKET_BYTES) break;
      this.#ready.delete(stream);
      served.push(stream);
      // A set's loop comes to what is added during it: the stream's next turn.
      if (this.#serve(stream)) this.#ready.add(stream);
    }
    // RST_STREAM can follow the end of a stream.
    this.#gatherControl();
    return served;
  }

  #gatherControl(): void {
    this.#memory.release(this.#control.bytes);
    for (const chunk of this.#control.takeAll()) this.#push(chunk);
    this.#hasStreamFrames = false;
  }

  /** One turn of a stream. @returns whether it can send more */
  #serve(stream: Http2Stream): boolean {
    let quantum = QUANTUM_BYTES;
    while (quantum > 0) {
      const bytes = Math.min(stream.sendableBytes, this.#windowBytes, this.maxFrameBytes, quantum);
      if (bytes <= 0) break;
      quantum -= bytes;
      this.#windowBytes -= bytes;
      const isLast = stream.isLast(bytes);
      const head = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
      const flags = isLast ? Flag.END_STREAM : 0;
      writeFrameHeader(head, 0, [bytes, FrameType.DATA, flags, stream.id]);
      this.#push(head);
      stream.take(bytes, this.#push, this.#sent);
      if (isLast) {
        stream.onEndSent();
        return false;
      }
    }
    const isBlocked = this.#windowBytes <= 0 && stream.sendableBytes > 0;
    if (stream.endIsDue || (isBlocked && stream.isResetting)) {
      this.#push(stream.endFrame());
      stream.onEndSent();
      return false;
    }
    if (isBlocked) this.#blocked.add(stream);
    return stream.sendableBytes > 0 && !isBlocked;
  }

  readonly #push = (bytes: Buffer): void => {
    this.#batch.push(bytes);
    this.#batchBytes += bytes.length;
  };

  #writeBatch(): void {
    const batch = this.#batch;
    const bytes = this.#batchBytes;
    if (bytes === 0) return;
    this.#batch = [];
    this.#batchBytes = 0;
    const onLeft = this.#onLeft();
    if (bytes <= COPIED_BYTES) {
      this.#socket.write(batch.length === 1 ? batch[0]! : Buffer.concat(batch, bytes), onLeft);
      return;
    }
    this.#socket.cork();
    const last = batch.pop()!;
    for (const chunk of batch) this.#socket.write(chunk);
    this.#socket.write(last, onLeft);
    this.#socket.uncork();
  }

  #onLeft(): (() => void) | undefined {
    if (this.#sent.length === 0) return undefined;
    const sent = this.#sent;
    this.#sent = [];
    return () => {
      for (const onSent of sent) onSent();
    };
  }
}
