import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ClientError, toClientError, unanswered } from './client-error.ts';
import { ConnectAnswer } from './connect-answer.ts';
import { dialFrontEnd, readyEvent } from './dial-front-end.ts';
import { readRefusal, requestConnect } from './http2-connect-stream.ts';
import { connectionErrorOf } from './http2-session.ts';
import type { Route } from './route.ts';
import { connectRequest } from './socket-stream.ts';

/**
 * Opens a stream to the route's target as a Node Duplex with backpressure and half-close, over HTTP/1.1
 * or HTTP/2 CONNECT. Not for gRPC, which has no half-close.
 *
 * @throws ClientError if the stream cannot be opened; `timeout` after `timeoutMs`
 */
export async function openDuplex(route: Route, timeoutMs: number): Promise<Duplex> {
  const stream =
    route.by === 'http2-connect'
      ? requestConnect(route)
      : dialFrontEnd(route, { alpn: 'http/1.1', allowHalfOpen: true });
  const opening = 'rstCode' in stream ? openHttp2(route, stream) : openHttp1(route, stream);
  let timer: NodeJS.Timeout | undefined;
  const timedOut = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new ClientError('timeout', `no answer to CONNECT within ${timeoutMs} ms`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([opening, timedOut]);
  } catch (error) {
    opening.catch(() => {});
    stream.on('error', () => {});
    stream.destroy();
    throw toClientError(error as Error);
  } finally {
    clearTimeout(timer);
  }
}

async function openHttp1(route: Route, socket: Socket): Promise<Duplex> {
  await once(socket, readyEvent(route));
  if (route.by === 'forward') return socket;
  socket.write(connectRequest(route));
  const answer = new ConnectAnswer();
  for (;;) {
    const chunk = await readSome(socket);
    if (chunk === undefined) {
      throw answer.refusal() ?? unanswered(false);
    }
    const rest = answer.push(chunk);
    if (rest === undefined) continue;
    if (rest.length > 0) socket.unshift(rest);
    return socket;
  }
}

/** The next bytes, without making the socket flow; undefined at its end. Rejects with its error. */
async function readSome(socket: Socket): Promise<Buffer | undefined> {
  for (;;) {
    const chunk: Buffer | null = socket.read();
    if (chunk !== null) return chunk;
    if (socket.readableEnded) return undefined;
    if (socket.errored) throw socket.errored;
    if (socket.destroyed) return undefined;
    const heard = new AbortController();
    const { signal } = heard;
    const events = ['readable', 'end', 'close'].map((event) => once(socket, event, { signal }));
    await Promise.race(events).finally(() => heard.abort());
  }
}

async function openHttp2(
  { tls }: Route,
  stream: ReturnType<typeof requestConnect>,
): Promise<Duplex> {
  const { session } = stream;
  const closed = once(stream, 'close').then(() => {
    throw unanswered(tls !== undefined);
  });
  closed.catch(() => {});
  try {
    const [headers] = await Promise.race([once(stream, 'response'), closed]);
    if (headers[':status'] === 200) return stream;
    throw await readRefusal(stream, headers);
  } catch (error) {
    throw connectionErrorOf(session) ?? error;
  }
}
