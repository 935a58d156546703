import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type MemoryBudget, noteTick, TickShare } from '@fairlead/protocol';
import { GatheredChunks } from './gathered-chunks.ts';

/** What a client that reads nothing can make us hold: as much as the windows of generous clients. */
const maxBacklogBytes = 16 * 1024 * 1024;
/** The same of one that has asked for nothing yet, and so has nothing but acknowledgements to read. */
const maxStrangerBacklogBytes = 64 * 1024;

/** How long a client may leave a connection open that has ended here. */
const lingerMs = 2_000;

/** A session that leaves bytes unread for so long is dead. */
const deadAfterMs = 5_000;

/** A read of that size may be a thousand requests that are reset at once, and take a tenth of a second. */
const mostPieceBytes = 64 * 1024;
const leastPieceBytes = 1024;
/** A piece that takes longer is followed by smaller ones. */
const maxPieceMs = 2;

type Done = (error?: Error | null) => void;

/**
 * A socket whose writes are done at once, up to a limit.
 *
 * Node's HTTP/2 sessions do not read while a write waits for the peer. When the peer is node too,
 * and both have more to send than the kernel buffers, each waits for the other to read, for ever
 * (nodejs/node issue 48685). It takes both to wait: with this between session and socket, the
 * server's side never does while the peer's flow control windows are within the limit.
 *
 * What it holds counts as the process's: a client's windows may be as large as it likes, and at the memory cap
 * the connection that holds most is cut off.
 */
export class EagerSocket extends Duplex {
  readonly #socket: Socket;
  readonly #memory: MemoryBudget | undefined;
  #heldBytes = 0;
  #maxBacklogBytes = maxStrangerBacklogBytes;
  /** Written, while what was written before waits for the peer. */
  readonly #backlog = new GatheredChunks();
  readonly #tickShare: TickShare;
  /** Read, and not given to the session yet. */
  #unread: Buffer | undefined;
  #pieceBytes = mostPieceBytes;
  #isDelivering = false;
  /** The session takes no more for now. */
  #isFull = false;
  /** It has used its share of this turn of the event loop. */
  #isResting = false;
  /** Runs while the session does not take what was read. */
  #unreadTimer: NodeJS.Timeout | undefined;
  /** The write that waits for the backlog to drain. */
  #held: Done | undefined;

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
      const done = this.#held;
      this.#held = undefined;
      this.#send(done);
    });
  }

  /** Written and not taken by the peer, as far as is known. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** From here on the client may have answers to read. */
  admit(): void {
    this.#maxBacklogBytes = maxBacklogBytes;
  }

  /** Cuts the connection off. */
  resetForMemory(): void {
    this.destroy();
  }

  override _read(): void {
    clearTimeout(this.#unreadTimer);
    this.#unreadTimer = undefined;
    this.#isFull = false;
    this.#deliver();
  }

  /** Gives the session what was read, a piece at a time, and reads on when it has taken all. */
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
    this.#pieceBytes = Math.min(Math.max(next, leastPieceBytes), mostPieceBytes);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#backlog.push(chunk);
    this.#send(done);
  }

  override _writev(pieces: { readonly chunk: Buffer }[], done: Done): void {
    for (const { chunk } of pieces) this.#backlog.push(chunk);
    this.#send(done);
  }

  /** The session is over. Its client may have more to say, or nothing to do with the end: it has a moment. */
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
    this.#memory?.release(this.#heldBytes);
    this.#heldBytes = 0;
    done(error);
  }

  /**
   * nghttp2 ends a session with too many resets by itself, and node then neither reads on nor says that it is
   * over: the connection would stay when its client has long gone. A session that is alive stops reading only
   * while a write of its own waits.
   */
  #onUnread(): void {
    if (this.#held) this.#unreadTimer?.refresh();
    else this.destroy();
  }

  #count(): void {
    if (!this.#memory || this.destroyed) return;
    const bytes = this.#waitingBytes - this.#heldBytes;
    this.#heldBytes += bytes;
    if (bytes > 0) this.#memory.hold(bytes);
    else this.#memory.release(-bytes);
  }

  /** Writes what waits unless the peer has to read first. @param done of the write that is to go on, if any */
  #send(done: Done | undefined): void {
    if (!this.#socket.writableNeedDrain) this.#writeBacklog();
    this.#count();
    if (this.#waitingBytes < this.#maxBacklogBytes) done?.();
    else this.#held = done;
  }

  /** Without what leaves at once or soon: of that no 'drain' tells when it has left. */
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
