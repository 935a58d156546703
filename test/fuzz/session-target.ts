import {
  MemoryBudget,
  Session,
  type StreamHandler,
  type Transport,
  type TransportSink,
  TunnelError,
  type TunnelStream,
} from '@fairlead/protocol';
import { FrameType } from '@fairlead/protocol/internal';
import type { FuzzTarget } from './fuzzer.ts';

/** A transport that delivers bytes synchronously, so that an input has been processed when `run` returns. */
class SyncTransport implements Transport {
  readonly kind = 'memory';
  sink: TransportSink | undefined;

  start(sink: TransportSink): void {
    this.sink = sink;
  }

  write(_bytes: Buffer, onSent: () => void): void {
    setImmediate(onSent);
  }

  end(): void {}

  destroy(): void {
    const { sink } = this;
    this.sink = undefined;
    sink?.onClose();
  }
}

/** Consumes bytes at once, or never. Throws if it is called after the end. */
class Consumer implements StreamHandler {
  readonly #stream: TunnelStream;
  readonly #isConsuming: boolean;
  #isOver = false;

  constructor(stream: TunnelStream, isConsuming: boolean) {
    this.#stream = stream;
    this.#isConsuming = isConsuming;
    stream.attach(this);
  }

  onData(chunk: Buffer): void {
    if (this.#isOver) throw new Error('onData after the end');
    if (this.#isConsuming) this.#stream.consumed(chunk.length);
  }

  onEnd(): void {
    if (this.#isOver) throw new Error('onEnd after the end');
    if (this.#isConsuming) this.#stream.end();
  }

  onDrain(): void {}

  onClose(): void {
    if (this.#isOver) throw new Error('onClose twice');
    this.#isOver = true;
  }
}

/** One session under test. Bits of the first byte choose its role and how its consumers behave. */
class SessionRun {
  readonly memory = new MemoryBudget(1_048_576);
  readonly session: Session;
  readonly #transport = new SyncTransport();
  #closes = 0;
  #error: TunnelError | undefined;
  #goAwaySeen = false;

  constructor(choice: number) {
    const isConsuming = (choice & 2) !== 0;
    this.session = new Session(
      this.#transport,
      {
        onHello: () => this.#expectOpen(),
        onOpen: (stream) => {
          this.#expectOpen();
          if (choice & 4) stream.accept();
          else if (choice & 8) stream.refuse(new TunnelError('target_refused'));
          if (!stream.isClosed) new Consumer(stream, isConsuming);
        },
        onDraining: () => this.#expectOpen(),
        onClose: (error) => {
          this.#closes += 1;
          this.#error = error;
        },
      },
      {
        role: choice & 1 ? 'agent' : 'server',
        hello: {},
        maxStreams: 64,
        memory: new MemoryBudget(1_048_576, this.memory),
      },
    ).start();
  }

  receive(chunk: Buffer, isGoAway = false): void {
    this.#goAwaySeen ||= isGoAway;
    this.#transport.sink?.onBytes(chunk);
  }

  /** Opens a stream from this side, if the session permits it. */
  open(isConsuming: boolean): void {
    try {
      const stream = this.session.open({ host: 'a', port: 1 }, { onClose() {} });
      new Consumer(stream, isConsuming);
      stream.write(Buffer.alloc(200));
    } catch (error) {
      if (!(error instanceof TunnelError)) throw error;
    }
  }

  /** Ends the session. @throws Error if memory or streams are left, or if the session failed internally */
  end(): void {
    this.session.destroy(new TunnelError('tunnel_lost'));
    if (this.#closes !== 1) throw new Error(`${this.#closes} closes`);
    const { cause } = this.#error ?? {};
    if (cause !== undefined && !(cause instanceof TunnelError)) throw cause;
    if (this.#error?.code === 'internal_error' && !this.#goAwaySeen) throw this.#error;
    const { bufferedBytes, grantedBytes } = this.memory;
    if (bufferedBytes !== 0 || grantedBytes !== 0) {
      throw new Error(`${bufferedBytes} bytes buffered, ${grantedBytes} granted after the end`);
    }
    if (this.session.streamCount !== 0) throw new Error('streams are left');
    this.#transport.destroy();
  }

  #expectOpen(): void {
    if (this.#closes > 0) throw new Error('a call after onClose');
  }
}

const hello = frame(FrameType.HELLO, 0, Buffer.from('{"versions":[1]}'));

function frame(type: number, streamId: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header[0] = type;
  header.writeUInt16BE(payload.length, 2);
  header.writeUInt32BE(streamId, 4);
  return Buffer.concat([header, payload]);
}

const open = (streamId: number): Buffer =>
  frame(FrameType.OPEN, streamId, Buffer.from([0, 80, 1, 97]));
const data = (streamId: number, bytes: number): Buffer =>
  frame(FrameType.DATA, streamId, Buffer.alloc(bytes));

/** Raw bytes of a peer. The second byte of the input is the chunk size. */
export const sessionBytes: FuzzTarget = {
  name: 'session-bytes',
  seeds: [
    Buffer.concat([Buffer.from([0, 0]), hello, open(1), data(1, 10)]),
    Buffer.concat([
      Buffer.from([7, 3]),
      hello,
      open(2),
      data(2, 100),
      frame(6, 2, Buffer.alloc(0)),
    ]),
    Buffer.concat([Buffer.from([3, 0]), Buffer.from('GET / HTTP/1.1\r\n\r\n')]),
    Buffer.concat([
      Buffer.from([5, 9]),
      hello,
      frame(9, 0, Buffer.alloc(8)),
      frame(11, 0, Buffer.alloc(6)),
    ]),
  ],
  words: [hello, open(1), open(2), data(1, 3), data(2, 3)],
  run(input) {
    const run = new SessionRun(input[0] ?? 0);
    const chunkBytes = (input[1] ?? 0) + 1;
    for (let at = 2; at < input.length; at += chunkBytes) {
      run.receive(input.subarray(at, at + chunkBytes), true);
    }
    run.end();
  },
};

/** Actions of a script: the peer's frames, with valid headers, and calls of this side. */
const moves: readonly ((run: SessionRun, id: number, size: number) => void)[] = [
  (run, id) => run.receive(open(id)),
  (run, id) => run.receive(frame(FrameType.OPENED, id, Buffer.alloc(0))),
  (run, id, size) => run.receive(frame(FrameType.OPEN_FAILED, id, Buffer.alloc(2 + size, 34))),
  (run, id, size) => run.receive(data(id, size)),
  (run, id, size) => run.receive(data(id, size * 250)),
  (run, id) => run.receive(frame(FrameType.FIN, id, Buffer.alloc(0))),
  (run, id, size) => run.receive(frame(FrameType.RESET, id, Buffer.from([0, size]))),
  (run, id, size) =>
    run.receive(frame(FrameType.WINDOW, id, Buffer.from([size & 127, 0, 0, size]))),
  (run, id, size) => run.receive(frame(FrameType.WINDOW, id, Buffer.from([0, 0, size, 1]))),
  (run) => run.receive(frame(FrameType.PING, 0, Buffer.alloc(8))),
  (run, id) => run.receive(frame(FrameType.PONG, 0, Buffer.from([0, 0, 0, 0, 0, 0, 0, id]))),
  (run) => run.receive(frame(FrameType.GOAWAY, 0, Buffer.from('0001' + '7fffffff', 'hex')), true),
  (run, id) => run.receive(frame(FrameType.GOAWAY, 0, Buffer.from([0, 16, 0, 0, 0, id])), true),
  (run, id) => run.receive(frame(FrameType.HELLO, 0, Buffer.from(`{"agentId":"${id}"}`))),
  (run, _id, size) => run.receive(frame(200, size, Buffer.alloc(size))),
  (run, id) => run.open(id % 2 === 0),
  (run) => run.session.drain(new TunnelError('shutting_down')),
  (run, id) => {
    if (id === 0) run.session.close();
  },
];

/** Well-formed frames in any order. Each takes three bytes: action, stream and size. */
export const sessionMoves: FuzzTarget = {
  name: 'session-moves',
  seeds: [
    Buffer.from([7, 0, 2, 0, 3, 2, 9, 5, 2, 0, 15, 1, 0, 1, 1, 0, 3, 1, 7]),
    Buffer.from([4, 15, 0, 0, 1, 2, 0, 4, 2, 250, 4, 2, 250, 6, 2, 9]),
    Buffer.from([1, 0, 2, 0, 7, 2, 255, 12, 2, 0, 0, 4, 0]),
  ],
  run(input) {
    const run = new SessionRun(input[0] ?? 0);
    run.receive(hello);
    for (let at = 1; at + 2 < input.length; at += 3) {
      moves[input[at]! % moves.length]!(run, input[at + 1]! % 16, input[at + 2]!);
    }
    run.end();
  },
};
