import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { encodeFields, type Fields } from '@fairlead/http2';
import { encodeFrame, encodeNumbers, FrameType, PREFACE } from '@fairlead/http2/internal';
import { eventually } from '@fairlead/testkit';
import type { Test } from 'tap';

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** A client that sends what the test says, and records the frames of the server. */
export class RawClient {
  readonly frames: RawFrame[] = [];
  isClosed = false;
  readonly socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isClosed = true;
    });
  }

  /** Connects and sends the preface and empty SETTINGS. It ends with the test. */
  static async connect(t: Test, port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    t.teardown(() => socket.destroy());
    await once(socket, 'connect');
    const client = new RawClient(socket);
    client.send(Buffer.concat([PREFACE, encodeFrame(FrameType.SETTINGS, 0, 0, Buffer.alloc(0))]));
    return client;
  }

  send(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  sendFrame(type: number, flags: number, streamId: number, payload: Buffer | string = ''): void {
    this.send(encodeFrame(type, flags, streamId, Buffer.from(payload)));
  }

  sendNumbers(type: number, streamId: number, ...numbers: number[]): void {
    this.send(encodeNumbers(type, 0, streamId, ...numbers));
  }

  /** Sends HEADERS; a complete POST of `/` unless the test says otherwise. */
  request(streamId: number, fields: Fields = {}, flags = 4): void {
    const post = { ':method': 'POST', ':scheme': 'http', ':path': '/' };
    this.sendFrame(FrameType.HEADERS, flags, streamId, encodeFields({ ...post, ...fields }));
  }

  async frame(what: string, matches: (frame: RawFrame) => boolean): Promise<RawFrame> {
    return (await eventually(what, () => this.frames.find(matches)))!;
  }

  /** @returns the error code of RST_STREAM */
  async resetOf(streamId: number): Promise<number> {
    const isReset = (it: RawFrame) => it.type === FrameType.RST_STREAM && it.streamId === streamId;
    return (await this.frame(`RST_STREAM of ${streamId}`, isReset)).payload.readUInt32BE(0);
  }

  /** @returns the error code of GOAWAY */
  async goAway(): Promise<number> {
    const found = await this.frame('GOAWAY', ({ type }) => type === FrameType.GOAWAY);
    return found.payload.readUInt32BE(4);
  }

  #onData(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= 9) {
      const end = 9 + this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < end) return;
      const head = this.#bytes;
      this.frames.push({
        type: head[3]!,
        flags: head[4]!,
        streamId: head.readUInt32BE(5),
        payload: head.subarray(9, end),
      });
      this.#bytes = this.#bytes.subarray(end);
    }
  }
}
