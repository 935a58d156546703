import type { Socket } from 'node:net';
import { readSome } from '@fairlead/protocol';
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

const headEnd = '\r\n\r\n';
const maxHeadBytes = 65_536;

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
  let bytes = Buffer.alloc(0);
  /** @returns false at the end of the connection */
  const readMore = async () => {
    const chunk = await readSome(socket);
    if (chunk) bytes = Buffer.concat([bytes, chunk]);
    return chunk !== undefined;
  };
  const readUntil = async (isComplete: () => boolean) => {
    while (!isComplete()) {
      if (await readMore()) continue;
      const got = JSON.stringify(bytes.toString('latin1'));
      throw new Error(`the connection ended before the answer was complete, after ${got}`);
    }
  };
  await readUntil(() => {
    if (bytes.includes(headEnd)) return true;
    if (bytes.length > maxHeadBytes) throw new Error(`no head within ${maxHeadBytes} bytes`);
    return false;
  });
  const bodyStart = bytes.indexOf(headEnd) + headEnd.length;
  const head = parseHead(bytes.toString('latin1', 0, bodyStart));
  if (head.status === 200) {
    const early = bytes.subarray(bodyStart);
    if (early.length > 0) socket.unshift(early);
    return { ...head, body: '', socket, earlyBytes: early.length };
  }
  const length = head.headers['content-length'];
  const bodyEnd = length === undefined ? undefined : bodyStart + Number(length);
  if (bodyEnd !== undefined) await readUntil(() => bytes.length >= bodyEnd);
  else while (await readMore());
  // A refused connection can end with an error, which must not end the process.
  socket.on('error', () => {});
  const body = bytes.toString('utf8', bodyStart, bodyEnd);
  return { ...head, body, socket, earlyBytes: 0 };
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
  socket.write(bytes);
  await new Promise((resolve) => socket.once('close', resolve));
  return { text, closedBy };
}
