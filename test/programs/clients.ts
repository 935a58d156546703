/** Clients of a front end, by HTTP/1.1 and HTTP/2, with one interface, and helpers for their streams. */
import type { Duplex } from 'node:stream';
import {
  type ByteReport,
  connectThrough,
  countBytes,
  type FrontEndAddress,
  Http2ConnectClient,
} from '@fairlead/testkit';
import type { Test } from 'tap';
import type { RunningServer } from './fixture.ts';

/** Long enough for a busy machine. */
const longestWaitMs = 60_000;

/** Waits for the promise. Rejects, with the name of what is awaited, if it takes too long. */
export async function inTime<Result>(what: string, promise: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`not within ${longestWaitMs} ms: ${what}`)),
      longestWaitMs,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The front end's answer to one CONNECT. */
export interface Answer {
  readonly status: number;
  /** The `fairlead-error` header; empty for 200. */
  readonly code: string;
  readonly contentType: string;
  /** Empty for 200. */
  readonly body: string;
  /** For 200: the stream; it is destroyed when the test ends. */
  readonly stream: Duplex;
}

/** A client of one server. */
export interface Client {
  /** Asks for a stream. Rejects if no answer comes. */
  ask(target: string): Promise<Answer>;
  /** Opens a stream. Rejects unless the answer is 200. */
  open(target: string): Promise<Duplex>;
}

/** HTTP/1.1 and HTTP/2 CONNECT, over TCP with mTLS and over the UDS. */
export const openClient = {
  'HTTP/1.1 over mTLS': (t: Test, server: RunningServer) => http1Client(t, server.tcp),
  'HTTP/1.1 over the UDS': (t: Test, server: RunningServer) => http1Client(t, server.uds),
  'HTTP/2 over mTLS': (t: Test, server: RunningServer) => http2Client(t, server.tcp),
  'HTTP/2 over the UDS': (t: Test, server: RunningServer) => http2Client(t, server.uds),
} as const;

export type ClientKind = keyof typeof openClient;
export const clientKinds = Object.keys(openClient) as ClientKind[];

/** A client that opens a connection for each stream. */
export function http1Client(t: Test, via: FrontEndAddress): Client {
  const ask = async (target: string): Promise<Answer> => {
    const { status, headers, body, socket } = await connectThrough({ via, target });
    destroyAfter(t, socket);
    const { 'fairlead-error': code = '', 'content-type': contentType = '' } = headers;
    return { status, code, contentType, body, stream: socket };
  };
  return { ask, open: opener(ask) };
}

/** A client with one connection for all streams. */
export async function http2Client(t: Test, via: FrontEndAddress): Promise<Client> {
  const client = await Http2ConnectClient.open(via);
  t.teardown(() => client.close());
  const ask = async (target: string): Promise<Answer> => {
    const { status, headers, body, stream } = await client.connect(target);
    destroyAfter(t, stream);
    const { 'fairlead-error': code = '', 'content-type': contentType = '' } = headers;
    return { status, code: String(code), contentType, body, stream };
  };
  return { ask, open: opener(ask) };
}

function opener(ask: Client['ask']): Client['open'] {
  return async (target) => {
    const { status, body, stream } = await ask(target);
    if (status !== 200) throw new Error(`CONNECT ${target}: ${status} ${body.trim()}`);
    return stream;
  };
}

function destroyAfter(t: Test, stream: Duplex): void {
  // A stream that a test has cut can end with an error.
  stream.on('error', () => {});
  t.teardown(() => {
    stream.destroy();
  });
}

/** The authority of a target: `HOST:PORT`, IPv6 in brackets. */
export function authority({
  host,
  port,
}: {
  readonly host: string;
  readonly port: number;
}): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Sends one line to an echo target and waits for it. Rejects if something else comes back. */
export async function echoLine(stream: Duplex, line: string): Promise<void> {
  stream.write(line);
  const byteCount = Buffer.byteLength(line);
  const echo = await readBytes(stream, byteCount);
  if (echo.toString() !== line) throw new Error(`echo of ${line}: ${echo}`);
}

/** Reads exactly `count` bytes and leaves the stream paused. Rejects if the stream ends before. */
export function readBytes(stream: Duplex, count: number): Promise<Buffer> {
  const bytes = new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length < count) return;
      release();
      stream.pause();
      const bytes = Buffer.concat(chunks);
      if (length > count) stream.unshift(bytes.subarray(count));
      resolve(bytes.subarray(0, count));
    };
    const onClose = () => {
      release();
      reject(new Error(`closed after ${length} of ${count} bytes`));
    };
    const release = () => stream.off('data', onData).off('end', onClose).off('close', onClose);
    stream.on('data', onData).on('end', onClose).on('close', onClose);
    stream.resume();
  });
  return inTime(`${count} bytes arrive`, bytes);
}

/** Counts the rest of a stream, even if `readBytes` has paused it. Rejects as `countBytes` does. */
export function readRest(stream: Duplex): Promise<ByteReport> {
  const report = countBytes(stream);
  stream.resume();
  return report;
}

/** Resolves when the stream has ended or failed, even if that was before the call. */
export async function untilEnded(stream: Duplex): Promise<void> {
  if (stream.closed || stream.readableEnded) return;
  const ended = readRest(stream).catch(() => {});
  await inTime('the stream has ended', ended);
}
