/** A target: a process that listens on loopback, does one thing with each connection, and counts. */
import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { seededBuffer } from '@fairlead/testkit';
import { Meter } from '../load/meter.ts';
import type { TcpAddress } from '../load/route.ts';
import { serveCalls } from '../process/calls.ts';
import type { TargetOrder } from './target-kind.ts';

const writeBytes = 65_536;
const bodyBytes = 1024;
/** The measures open some hundred connections at once. */
const backlog = 4096;
const meter = new Meter();
const bulk = seededBuffer('bulk', writeBytes);
const body = seededBuffer('body', bodyBytes);

serveCalls({
  async listen(order: TargetOrder): Promise<TcpAddress> {
    const server = createTarget(order);
    server.listen({ host: '127.0.0.1', port: 0, backlog });
    await once(server, 'listening');
    return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  },
  begin: () => meter.begin(),
  end: () => meter.end(),
});

function createTarget(order: TargetOrder): Server {
  switch (order.kind) {
    case 'sink':
      return createServer({ noDelay: true }, (socket) => {
        socket.on('error', ignore);
        socket.on('data', (chunk) => {
          meter.bytes += chunk.length;
        });
      });
    case 'source':
      return createServer({ noDelay: true }, sendForEver);
    case 'echo':
      return createServer({ noDelay: true }, (socket) => {
        socket.on('error', ignore);
        socket.on('data', (chunk) => {
          socket.write(chunk);
        });
      });
    case 'http':
      return createHttpServer(answer);
    case 'https':
      return createHttpsServer({ cert: order.cert, key: order.key }, answer);
  }
}

/**
 * Waits for the client's first byte: Konnectivity may send what a target says at once in front of
 * its own answer to CONNECT.
 */
function sendForEver(socket: Socket): void {
  const pump = () => {
    while (socket.writable && socket.write(bulk));
  };
  socket.on('error', ignore);
  socket.on('drain', pump);
  socket.once('data', pump);
}

const answer: RequestListener = (_request, response) => {
  meter.operations++;
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': body.length,
  });
  response.end(body);
};

/** A load that is stopped resets its streams; that is no failure of the target. */
function ignore(): void {}
