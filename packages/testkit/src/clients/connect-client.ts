import type { Socket } from 'node:net';
import { type FrontEndAddress, openFrontEnd } from './front-end-address.ts';

/** The front end's answer. Header names are in lower case; repeated ones are joined by `, `. */
export interface ConnectReply {
  readonly status: number;
  readonly reason: string;
  readonly headers: Readonly<Record<string, string>>;
  /** A refusal's body; empty for 200. */
  readonly body: string;
  /** For 200: the stream. Bytes after the head are put back into it. */
  readonly socket: Socket;
  /** Number of bytes that arrived together with the head of a 200. */
  readonly earlyBytes: number;
}

const maxHeadBytes = 65_536;

/** The bytes of a CONNECT request head. */
export function connectHead(
  target: string,
  headers: Readonly<Record<string, string>> = {},
): string {
  const named = Object.keys(headers).some((name) => name.toLowerCase() === 'host');
  const rows = Object.entries(named ? headers : { Host: target, ...headers });
  return `CONNECT ${target} HTTP/1.1\r\n${rows.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

/**
 * Sends one HTTP/1.1 CONNECT and reads the answer: the head of a 200, or head and body of a refusal (by
 * Content-Length, or to the end). Rejects if the connection fails or ends before the answer is complete.
 * The caller destroys `socket`, also after a refusal.
 */
export async function connectThrough(request: {
  readonly via: FrontEndAddress;
  /** The request target, which can be invalid. */
  readonly target: string;
  /** Added to the head in this order. Without a Host header, the target is the host. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent in one write with the head. */
  readonly payload?: Buffer | string;
  /** Ends the client's side after head and payload. */
  readonly end?: boolean;
}): Promise<ConnectReply> {
  const socket = await openFrontEnd(request.via);
  try {
    const head = Buffer.from(connectHead(request.target, request.headers), 'latin1');
    socket.write(Buffer.concat([head, Buffer.from(request.payload ?? '')]));
    if (request.end) socket.end();
    return await readReply(socket);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function readReply(socket: Socket): Promise<ConnectReply> {
  const answer = new ByteReader(socket);
  try {
    const headEnd = await answer.find('\r\n\r\n', maxHeadBytes);
    const { status, reason, headers } = parseHead(answer.take(headEnd + 4).toString('latin1'));
    if (status === 200) {
      const earlyBytes = answer.release();
      return { status, reason, headers, body: '', socket, earlyBytes };
    }
    const length = headers['content-length'];
    const body = length === undefined ? await answer.rest() : await answer.exactly(Number(length));
    answer.stop();
    // A refused connection can end with an error, which must not end the process.
    socket.on('error', () => {});
    return { status, reason, headers, body: body.toString('utf8'), socket, earlyBytes: 0 };
  } catch (error) {
    answer.stop();
    throw error;
  }
}

function parseHead(head: string): Pick<ConnectReply, 'status' | 'reason' | 'headers'> {
  const [statusLine = '', ...rows] = head.trimEnd().split('\r\n');
  const match = /^HTTP\/1\.1 (\d{3})(?: (.*))?$/.exec(statusLine);
  if (!match) throw new Error(`not an HTTP/1.1 status line: ${JSON.stringify(statusLine)}`);
  const headers: Record<string, string> = {};
  for (const row of rows) {
    const colon = row.indexOf(':');
    if (colon < 1) throw new Error(`not a header line: ${JSON.stringify(row)}`);
    const name = row.slice(0, colon).toLowerCase();
    const value = row.slice(colon + 1).trim();
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  return { status: Number(match[1]), reason: match[2] ?? '', headers };
}

/** Reads a socket step by step without losing what follows. */
class ByteReader {
  readonly #socket: Socket;
  #bytes = Buffer.alloc(0);
  #ended = false;
  #error: Error | undefined;
  #wake = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    // With 'data', the socket would stay paused when its next owner adds a listener.
    socket.on('readable', this.#onReadable);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onEnd);
  }

  /** Waits for `text`. Rejects at the end, or if it is not in the first bytes. @returns its position */
  async find(text: string, maxBytes: number): Promise<number> {
    for (;;) {
      const position = this.#bytes.indexOf(text);
      if (position >= 0) return position;
      if (this.#bytes.length > maxBytes) throw new Error(`no head within ${maxBytes} bytes`);
      await this.#more();
    }
  }

  take(length: number): Buffer {
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }

  async exactly(length: number): Promise<Buffer> {
    while (this.#bytes.length < length) await this.#more();
    return this.take(length);
  }

  async rest(): Promise<Buffer> {
    while (!this.#ended) await this.#more();
    return this.take(this.#bytes.length);
  }

  /** Puts the unread bytes back into the socket. @returns their number */
  release(): number {
    this.stop();
    const { length } = this.#bytes;
    if (length > 0) this.#socket.unshift(this.#bytes);
    return length;
  }

  /** Stops reading and discards the unread bytes. */
  stop(): void {
    this.#socket.off('readable', this.#onReadable);
    this.#socket.off('end', this.#onEnd);
    this.#socket.off('error', this.#onError);
    this.#socket.off('close', this.#onEnd);
  }

  async #more(): Promise<void> {
    if (this.#error) throw this.#error;
    if (this.#ended) {
      const got = JSON.stringify(this.#bytes.toString('latin1'));
      throw new Error(`the connection ended before the answer was complete, after ${got}`);
    }
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (this.#error) throw this.#error;
  }

  #onReadable = () => {
    for (let chunk = this.#socket.read(); chunk; chunk = this.#socket.read()) {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
    }
    this.#wake();
  };

  #onEnd = () => {
    this.#ended = true;
    this.#wake();
  };

  #onError = (error: Error) => {
    this.#error = error;
    this.#wake();
  };
}

/**
 * Sends raw bytes (an invalid head, half a head, nothing) and reads until the front end closes the
 * connection. The client does not end its side before. Rejects if the connection cannot be opened.
 *
 * @returns the front end's bytes as Latin-1, and how it closed: `end`, or the `code` of the error
 */
export async function exchangeRaw(
  via: FrontEndAddress,
  bytes: Buffer | string,
): Promise<{ readonly text: string; readonly closedBy: string }> {
  const socket = await openFrontEnd(via);
  let text = '';
  let closedBy = 'end';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.on('end', () => socket.end());
  socket.on('error', (error: NodeJS.ErrnoException) => {
    closedBy = error.code ?? error.message;
  });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(bytes);
  await closed;
  return { text, closedBy };
}
