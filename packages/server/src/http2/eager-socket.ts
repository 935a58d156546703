import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type MemoryBudget, noteTick, TickShare } from '@fairlead/protocol';

/** What a peer that reads nothing can make the server hold: as much as the windows of generous clients. */
const maxBacklogBytes = 16 * 1024 * 1024;
/** The same before the peer's first request, when it has nothing but acknowledgements to read. */
const maxBacklogBytesBeforeRequest = 64 * 1024;

/** How long a peer may leave a connection open that has ended here. */
const lingerMs = 2_000;

/** A session that leaves bytes unread for that long is dead. */
const deadAfterMs = 5_000;

/** One read of that size can be a thousand requests that are reset at once, and take a tenth of a second. */
const maxPieceBytes = 64 * 1024;
const minPieceBytes = 1024;
/** If a piece takes longer, the next ones are smaller. */
const maxPieceMs = 2;

type Done = (error?: Error | null) => void;

/**
 * A socket whose writes finish at once, up to a limit.
 *
 * Node's HTTP/2 sessions do not read while a write waits for the peer. If the peer is Node too, and both have
 * more to send than the kernel buffers, each waits forever for the other to read (nodejs/node issue 48685). Only if
 * both wait does this happen. With an EagerSocket between session and socket, the server does not wait as long as the
 * peer's flow control windows are within the limit.
 *
 * The bytes that it holds count against the process's memory cap, since a client's windows can be as large as it
 * likes. At the cap, the connection that holds most is closed.
 */
export class EagerSocket extends Duplex {
  /** Written and, as far as is known, not taken by the peer. */
  heldBytes = 0;
  readonly #socket: Socket;
  readonly #memory: MemoryBudget | undefined;
  #maxBacklogBytes = maxBacklogBytesBeforeRequest;
  /** What waits while earlier writes wait for the peer. */
  readonly #backlog = new Backlog();
  readonly #tickShare: TickShare;
  /** Read from the socket and not yet passed to the session. */
  #unread: Buffer | undefined;
  #pieceBytes = maxPieceBytes;
  #isDelivering = false;
  /** The session takes no more for now. */
  #isFull = false;
  /** The session has used its share of this tick of the event loop. */
  #isResting = false;
  /** Runs while the session does not take what was read. */
  #unreadTimer: NodeJS.Timeout | undefined;
  /** The write that waits until the backlog is shorter. */
  #heldWrite: Done | undefined;

  constructor(socket: Socket, memory?: MemoryBudget) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#memory = memory;
    this.#tickShare = new TickShare({
      pause: () => {
        this.#isResting = true;
      },
      resume: () => {
        this.#isResting = false;
        this.#deliver();
      },
    });
    socket.on('data', (chunk) => {
      this.#unread = chunk;
      this.#deliver();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
    socket.on('drain', () => {
      const done = this.#heldWrite;
      this.#heldWrite = undefined;
      this.#send(done);
    });
  }

  /** From now on the peer may have answers to read. */
  admit(): void {
    this.#maxBacklogBytes = maxBacklogBytes;
  }

  /** Closes the connection at once. */
  resetForMemory(): void {
    this.destroy();
  }

  override _read(): void {
    clearTimeout(this.#unreadTimer);
    this.#unreadTimer = undefined;
    this.#isFull = false;
    this.#deliver();
  }

  /** Passes what was read to the session in pieces, and reads more when the session has taken all. */
  #deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    while (this.#unread && !this.#isFull && !this.#isResting && !this.destroyed) {
      const piece = this.#nextPiece(this.#unread);
      const startedAtMs = performance.now();
      noteTick();
      this.#tickShare.begin();
      this.#isFull = !this.push(piece);
      this.#tickShare.end();
      this.#onPiece(performance.now() - startedAtMs);
    }
    this.#isDelivering = false;
    if (this.#isFull) this.#unreadTimer ??= setTimeout(() => this.#onUnread(), deadAfterMs);
    if (this.#unread || this.#isFull || this.#isResting) this.#socket.pause();
    else this.#socket.resume();
  }

  #nextPiece(chunk: Buffer): Buffer {
    const isLast = chunk.length <= this.#pieceBytes;
    this.#unread = isLast ? undefined : chunk.subarray(this.#pieceBytes);
    return isLast ? chunk : chunk.subarray(0, this.#pieceBytes);
  }

  #onPiece(tookMs: number): void {
    const next = tookMs > maxPieceMs ? this.#pieceBytes / 4 : this.#pieceBytes * 2;
    this.#pieceBytes = Math.min(Math.max(next, minPieceBytes), maxPieceBytes);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#backlog.push(chunk);
    this.#send(done);
  }

  override _writev(pieces: { readonly chunk: Buffer }[], done: Done): void {
    for (const { chunk } of pieces) this.#backlog.push(chunk);
    this.#send(done);
  }

  /** The session has ended. The peer may still send, and has `lingerMs` to close its side. */
  override _final(done: Done): void {
    const timer = setTimeout(() => this.destroy(), lingerMs);
    this.once('close', () => clearTimeout(timer));
    this.#writeBacklog();
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: Done): void {
    clearTimeout(this.#unreadTimer);
    this.#socket.destroy();
    this.#backlog.takeAll();
    this.#memory?.release(this.heldBytes);
    this.heldBytes = 0;
    done(error);
  }

  /**
   * nghttp2 ends a session with too many resets by itself. Node then stops reading and emits no event, so the
   * connection would stay after its client has gone. A live session stops reading only while its own write waits.
   */
  #onUnread(): void {
    if (this.#heldWrite) this.#unreadTimer?.refresh();
    else this.destroy();
  }

  #count(): void {
    if (!this.#memory || this.destroyed) return;
    const bytes = this.#waitingBytes - this.heldBytes;
    this.heldBytes += bytes;
    if (bytes > 0) this.#memory.hold(bytes);
    else this.#memory.release(-bytes);
  }

  /** Writes the backlog unless the peer must read first. @param done finishes the write that waits, if any */
  #send(done: Done | undefined): void {
    if (!this.#socket.writableNeedDrain) this.#writeBacklog();
    this.#count();
    if (this.#waitingBytes < this.#maxBacklogBytes) done?.();
    else this.#heldWrite = done;
  }

  /** Excludes what the socket takes without waiting: no 'drain' follows when that has left. */
  get #waitingBytes(): number {
    const { writableNeedDrain, writableLength } = this.#socket;
    return this.#backlog.bytes + (writableNeedDrain ? writableLength : 0);
  }

  #writeBacklog(): void {
    this.#socket.cork();
    for (const chunk of this.#backlog.takeAll()) this.#socket.write(chunk);
    this.#socket.uncork();
  }
}

/** So many chunks in a row become one if they are small. */
const groupLength = 64;
/** Mean length below which the chunks of a group are small. */
const smallBytes = 512;

/**
 * Chunks that wait, in order, with small ones gathered: an answer of nine bytes to each PING of a peer that does not
 * read must not hold several hundred bytes for its object and its slot in a queue.
 *
 * Not a ChunkQueue: that begins a block of 16 KiB for each small chunk after a large one, such as every frame's header.
 */
class Backlog {
  #chunks: Buffer[] = [];
  /** The first of `#chunks` after the last complete group. */
  #groupFrom = 0;
  #groupBytes = 0;
  bytes = 0;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.bytes += chunk.length;
    this.#groupBytes += chunk.length;
    if (this.#chunks.length - this.#groupFrom < groupLength) return;
    if (this.#groupBytes < groupLength * smallBytes) {
      this.#chunks.push(Buffer.concat(this.#chunks.splice(this.#groupFrom), this.#groupBytes));
    }
    this.#groupFrom = this.#chunks.length;
    this.#groupBytes = 0;
  }

  /** Empties it. */
  takeAll(): Buffer[] {
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#groupFrom = this.#groupBytes = this.bytes = 0;
    return chunks;
  }
}
