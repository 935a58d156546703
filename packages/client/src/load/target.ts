/** The far ends that loads need: something that answers, takes or sends. */

import { randomBytes } from 'node:crypto';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, type Server, type Socket } from 'node:net';

export const targetKinds = ['echo', 'sink', 'source', 'http'] as const;

/** What a target does with each connection. */
export type LoadTargetKind = (typeof targetKinds)[number];

/** What a target has done; counted up by it. */
export interface TargetCount {
  bytes: number;
  operations: number;
}

const writeBytes = 65_536;
const bodyBytes = 1024;

/**
 * A target, not listening yet: `echo` sends back what comes, `sink` takes it, `source` sends without
 * end from the first byte on that comes, `http` answers every request with 1 KiB.
 * @param tls makes it HTTPS, for `http` alone
 */
export function createLoadTarget(
  kind: LoadTargetKind,
  count: TargetCount,
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
 * Waits for the client's first byte: Konnectivity may send what a target says at once in front of
 * its own answer to CONNECT.
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

function httpAnswer(count: TargetCount): RequestListener {
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

/** A load that is stopped resets its streams; that is no failure of the target. */
function ignore(): void {}
