/** The targets that loads need: one that answers, one that receives, one that sends. */

import { randomBytes } from 'node:crypto';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, type Server, type Socket } from 'node:net';
import type { Meter } from './meter.ts';

export const targetKinds = ['echo', 'sink', 'source', 'http'] as const;

const writeBytes = 65_536;
const bodyBytes = 1024;

/**
 * Creates a target that does not listen yet. `echo` sends back what it receives, `sink` discards it,
 * `source` sends without end after the first byte that it receives, `http` answers each request with
 * 1 KiB.
 * @param count `sink` adds to `bytes`, `http` to `operations`
 * @param tls makes `http` HTTPS
 */
export function createLoadTarget(
  kind: (typeof targetKinds)[number],
  count: Pick<Meter, 'bytes' | 'operations'>,
  tls?: { readonly cert: string; readonly key: string },
): Server {
  switch (kind) {
    case 'sink':
      return createServer({ noDelay: true }, (socket) => {
        socket.on('error', ignore);
        socket.on('data', (chunk) => {
          count.bytes += chunk.length;
        });
      });
    case 'source':
      return sourceServer();
    case 'echo':
      return createServer({ noDelay: true }, (socket) => {
        socket.on('error', ignore);
        socket.pipe(socket);
      });
    case 'http':
      return tls
        ? createHttpsServer({ ...tls }, httpAnswer(count))
        : createHttpServer(httpAnswer(count));
  }
}

/**
 * Waits for the client's first byte, because Konnectivity can send a target's first bytes before its
 * own answer to CONNECT.
 */
function sourceServer(): Server {
  const bulk = randomBytes(writeBytes);
  return createServer({ noDelay: true }, (socket: Socket) => {
    const pump = () => {
      while (socket.writable && socket.write(bulk));
    };
    socket.on('error', ignore);
    socket.on('drain', pump);
    socket.once('data', pump);
  });
}

function httpAnswer(count: Pick<Meter, 'operations'>): RequestListener {
  const body = randomBytes(bodyBytes);
  return (request, response) => {
    count.operations++;
    request.resume();
    response.writeHead(200, {
      'content-type': 'application/octet-stream',
      'content-length': body.length,
    });
    response.end(body);
  };
}

/** A load resets its streams when it stops. */
function ignore(): void {}
