import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate as nextTick } from 'node:timers/promises';
import { encodeFields, Http2Connection, Http2Error, type Http2Stream } from '@fairlead/http2';
import {
  encodeFrame,
  encodeNumbers,
  FrameReader,
  type FrameSink,
  FrameType,
  HpackDecoder,
  PREFACE,
} from '@fairlead/http2/internal';
import type { FuzzTarget } from './fuzzer.ts';

const END_STREAM = 1;
const END_HEADERS = 4;
const PADDED = 8;

const post = encodeFields({ ':method': 'POST', ':scheme': 'http', ':path': '/', te: 'trailers' });
const connect = encodeFields({ ':method': 'CONNECT', ':authority': 'node-1:10250' });
const ok = encodeFields({ ':status': '200' });
const settings = encodeFrame(FrameType.SETTINGS, 0, 0, Buffer.alloc(0));
const headers = (id: number, flags = END_HEADERS, block = post): Buffer =>
  encodeFrame(FrameType.HEADERS, flags, id, block);
const data = (id: number, flags: number, bytes: number): Buffer =>
  encodeFrame(FrameType.DATA, flags, id, Buffer.alloc(bytes));
const numbers = (type: number, id: number, ...values: number[]): Buffer =>
  encodeNumbers(type, 0, id, ...values);

/** @returns the code of the Http2Error that `work` throws; undefined if it throws nothing. Other errors are bugs. */
function errorCode(work: () => void): number | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof Http2Error) return error.code;
    throw error;
  }
}

/** Header blocks: fields survive encoding and decoding, and the table does not grow without limit. */
const hpack: FuzzTarget = {
  name: 'hpack',
  seeds: [
    Buffer.from('828684410f7777772e6578616d706c652e636f6d', 'hex'),
    Buffer.from('400a637573746f6d2d6b65790d637573746f6d2d686561646572be', 'hex'),
    Buffer.from('3fe11f82418cf1e3c2e5f23a6ba0ab90f4ff20', 'hex'),
    post,
    connect,
  ],
  words: ['3fe11f', '20', '7f80', 'ffffffff0f', '8cf1e3c2e5f23a6ba0ab90f4ff'].map((hex) =>
    Buffer.from(hex, 'hex'),
  ),
  run(input) {
    const fields: [name: string, value: string][] = [];
    const decoder = new HpackDecoder();
    errorCode(() => decoder.decode(input, (name, value) => fields.push([name, value])));
    for (const [name, value] of fields) {
      const again: [string, string][] = [];
      const block = encodeFields({ [name]: value });
      new HpackDecoder().decode(block, (...field) => again.push(field));
      assert.deepEqual(again, [[name, value]]);
    }
  },
};

/** Frames are read alike, no matter how the bytes are split into chunks. */
const frames: FuzzTarget = {
  name: 'http2-frames',
  seeds: [
    Buffer.concat([PREFACE, settings, headers(1), data(1, PADDED, 9), data(1, END_STREAM, 0)]),
    Buffer.concat([PREFACE, settings, encodeFrame(FrameType.PING, 0, 0, Buffer.alloc(8))]),
  ],
  words: [PREFACE, settings, data(1, PADDED, 3)],
  run(input) {
    const read = (chunks: readonly Buffer[]) => {
      const calls: unknown[] = [];
      let bytes = '';
      const sink: FrameSink = {
        onFrame: (...[type, flags, id, payload]) =>
          calls.push([type, flags, id, payload.toString('hex')]),
        onDataStart: (...args) => calls.push(args),
        onDataPiece(piece) {
          assert.ok(piece.length > 0);
          bytes += piece.toString('hex');
        },
        onDataEnd: () => calls.push(bytes),
      };
      const reader = new FrameReader(sink);
      const code = errorCode(() => {
        for (const chunk of chunks) reader.push(chunk);
      });
      return [...calls, bytes, code];
    };
    assert.deepEqual(read(Array.from(input, (_, at) => input.subarray(at, at + 1))), read([input]));
  },
};

/** A socket whose peer is the fuzzer. */
class FuzzedSocket extends Duplex {
  readonly #sent: Buffer[] = [];

  constructor() {
    super({ allowHalfOpen: true });
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#sent.push(chunk);
    done();
  }

  /** @throws Error unless the server sent valid frames, and none on a stream after its end */
  checkSent(): void {
    const bytes = Buffer.concat(this.#sent);
    const ended = new Set<number>();
    for (let at = 0; at < bytes.length; ) {
      const [length, type, flags] = [bytes.readUIntBE(at, 3), bytes[at + 3]!, bytes[at + 4]!];
      const id = bytes.readUInt32BE(at + 5);
      if (at === 0) assert.equal(type, FrameType.SETTINGS);
      assert.ok(length <= 16_384 && at + 9 + length <= bytes.length, 'a frame is too long');
      if (type === FrameType.HEADERS || type === FrameType.DATA) {
        assert.ok(id % 2 === 1 && !ended.has(id), `frame ${type} on stream ${id}, which has ended`);
        if (flags & END_STREAM) ended.add(id);
      }
      if (type === FrameType.RST_STREAM) ended.add(id);
      at += 9 + length;
    }
  }
}

/** A connection under test. Bits of the choice say how its requests are served. */
class ConnectionRun {
  readonly streams: Http2Stream[] = [];
  readonly connection: Http2Connection;
  readonly #socket = new FuzzedSocket();
  /** Found in callbacks, from which an error would end the process. */
  readonly #failures: string[] = [];
  #heldBytes = 0;
  #closes = 0;

  constructor(choice: number) {
    const memory = {
      isFull: (choice & 64) !== 0,
      hold: (bytes: number) => {
        this.#heldBytes += bytes;
      },
      release: (bytes: number) => {
        this.#heldBytes -= bytes;
      },
    };
    const options = {
      headTimeoutMs: 60_000,
      maxHeadBytes: 1_024,
      streamWindowBytes: 2_000,
      maxConcurrentStreams: 8,
      memory,
    };
    // It uses no more of a socket than Duplex has.
    const socket = this.#socket as unknown as Socket;
    this.connection = new Http2Connection(socket, options, {
      onRequest: (stream) => {
        if (this.#closes > 0) this.#failures.push('a request after the end');
        this.streams.push(stream);
        serve(stream, choice, (text) => this.#failures.push(text));
      },
      onSilent() {},
      onClose: () => {
        this.#closes += 1;
      },
    }).start();
  }

  receive(bytes: Buffer): void {
    if (!this.#socket.destroyed) this.#socket.push(bytes);
  }

  /** @throws Error if memory or streams are left, or if a callback came at a wrong time */
  async end(): Promise<void> {
    await nextTick();
    await nextTick();
    this.connection.destroy();
    assert.deepEqual(this.#failures, []);
    assert.equal(this.#closes, 1);
    assert.equal(this.#heldBytes, 0, 'bytes are held after the end');
    for (const stream of this.streams) assert.ok(stream.isClosed, `stream ${stream.id} is open`);
    this.#socket.checkSent();
  }
}

function serve(stream: Http2Stream, choice: number, onFailure: (text: string) => void): void {
  if (choice & 1) stream.respond(ok);
  if (choice & 2) stream.pause();
  if (choice & 4) stream.finish(ok);
  if (choice & 8) return;
  let isOver = false;
  const expectOpen = () => isOver && onFailure('a call after onClose');
  stream.attach({
    onData(chunk) {
      expectOpen();
      if (chunk.length === 0) onFailure('an empty chunk');
      if (choice & 16) stream.consumed(chunk.length);
      if (choice & 32) stream.write(Buffer.from(chunk));
    },
    onEnd() {
      expectOpen();
      stream.end();
    },
    onDrain: expectOpen,
    onClose() {
      expectOpen();
      isOver = true;
    },
  });
}

/** Raw bytes of a client, after its preface. The second byte of the input is the chunk size. */
const bytes: FuzzTarget = {
  name: 'http2-bytes',
  seeds: [
    Buffer.concat([Buffer.of(49, 0), settings, headers(1), data(1, 0, 20), data(1, END_STREAM, 1)]),
    Buffer.concat([Buffer.of(3, 9), settings, headers(1, 5), headers(3), data(3, PADDED, 40)]),
    Buffer.concat([Buffer.of(9, 99), settings, headers(1, 0, post.subarray(0, 3))]),
    Buffer.concat([Buffer.of(5, 50), settings, headers(1, END_HEADERS, connect)]),
  ],
  words: [settings, headers(1), headers(3), headers(5, END_HEADERS, connect), data(1, 0, 9)],
  async run(input) {
    const run = new ConnectionRun(input[0] ?? 0);
    run.receive(PREFACE);
    const chunkBytes = (input[1] ?? 0) + 1;
    for (let at = 2; at < input.length; at += chunkBytes) {
      run.receive(input.subarray(at, at + chunkBytes));
    }
    await run.end();
  },
};

/** Actions of a script: the client's frames, with valid headers, and calls of the server. */
const moves: readonly ((run: ConnectionRun, id: number, size: number) => void)[] = [
  (run, id) => run.receive(headers(id)),
  (run, id, size) => run.receive(headers(id, END_HEADERS | (size & END_STREAM), connect)),
  (run, id, size) => run.receive(headers(id, size & END_STREAM, post.subarray(0, 4))),
  (run, id) => run.receive(encodeFrame(FrameType.CONTINUATION, END_HEADERS, id, post.subarray(4))),
  (run, id, size) => run.receive(data(id, 0, size * 10)),
  (run, id, size) => run.receive(data(id, END_STREAM, size)),
  (run, id, size) => run.receive(numbers(FrameType.RST_STREAM, id, size % 14)),
  (run, id, size) => run.receive(numbers(FrameType.WINDOW_UPDATE, id, size)),
  (run, _id, size) => run.receive(numbers(FrameType.WINDOW_UPDATE, 0, size << 20)),
  (run, _id, size) =>
    run.receive(
      encodeFrame(
        FrameType.SETTINGS,
        0,
        0,
        Buffer.from(`00040000${hex(size)}0000050000${hex(size)}00`, 'hex'),
      ),
    ),
  (run) => run.receive(encodeNumbers(FrameType.SETTINGS, 1, 0)),
  (run) => run.receive(encodeFrame(FrameType.PING, 0, 0, Buffer.alloc(8))),
  (run, id) => run.receive(numbers(FrameType.GOAWAY, 0, id, 0)),
  (run, id, size) => run.receive(encodeFrame(FrameType.PRIORITY, 0, id, Buffer.alloc(5, size))),
  (run, id, size) => stream(run, id)?.write(Buffer.alloc(size * 20)),
  (run, id, size) => stream(run, id)?.end(size & 1 ? ok : undefined),
  (run, id) => stream(run, id)?.finish(ok),
  (run, id) => stream(run, id)?.reset(),
  (run, id) => stream(run, id)?.respond(ok),
  (run, id) => stream(run, id)?.pause(),
  (run, id) => stream(run, id)?.resume(),
  (run) => run.connection.drain(),
  (run) => run.connection.closeSoon(),
  (run) => run.connection.resetForMemory(),
];

const hex = (size: number): string => size.toString(16).padStart(2, '0');
const stream = (run: ConnectionRun, id: number): Http2Stream | undefined =>
  run.streams[id % Math.max(1, run.streams.length)];

/** Well-formed frames in any order. Each takes three bytes: action, stream and size. */
const scripts: FuzzTarget = {
  name: 'http2-moves',
  seeds: [
    Buffer.of(49, 0, 1, 0, 4, 1, 9, 4, 1, 200, 15, 0, 1, 5, 1, 3, 6, 1, 8),
    Buffer.of(1, 1, 1, 0, 14, 0, 255, 14, 0, 255, 7, 1, 99, 17, 0, 0, 12, 3, 0),
    Buffer.of(8, 2, 1, 0, 3, 1, 0, 9, 0, 1, 0, 3, 0, 21, 0, 0, 0, 5, 0),
  ],
  async run(input) {
    const run = new ConnectionRun(input[0] ?? 0);
    run.receive(PREFACE);
    run.receive(settings);
    for (let at = 1; at + 2 < input.length; at += 3) {
      moves[input[at]! % moves.length]!(run, input[at + 1]! % 16, input[at + 2]!);
      // Without a wait, the client's frames would all follow the server's calls.
      if (at % 8 === 0) await nextTick();
    }
    await run.end();
  },
};

export const http2Targets: readonly FuzzTarget[] = [hpack, frames, bytes, scripts];
