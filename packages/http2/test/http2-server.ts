import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  encodeFields,
  Http2Connection,
  type Http2Stream,
} from '@fairlead/http2';
import type { Test } from 'tap';

export const ok = encodeFields({ ':status': '200' });

/** Counts what connections hold, and can be given a limit. */
export class CountingMemory {
  readonly isFull = false;
  heldBytes = 0;
  maxBytes = 0;

  hold(bytes: number): void {
    this.heldBytes += bytes;
    this.maxBytes = Math.max(this.maxBytes, this.heldBytes);
  }

  release(bytes: number): void {
    this.heldBytes -= bytes;
  }
}

export interface TestServer {
  readonly port: number;
  readonly memory: CountingMemory;
  readonly connections: Http2Connection[];
  silentCount: number;
}

/** A server on loopback whose requests go to `onRequest`; it ends with the test. */
export async function startServer(
  t: Test,
  onRequest: (stream: Http2Stream) => void,
  options: Partial<ConnectionOptions> = {},
): Promise<TestServer> {
  const memory = new CountingMemory();
  const connections: Http2Connection[] = [];
  const sockets = new Set<Socket>();
  const result = { port: 0, memory, connections, silentCount: 0 };
  const server = createServer((socket) => {
    sockets.add(socket);
    const all = { headTimeoutMs: 60_000, maxHeadBytes: 16_384, memory, ...options };
    const onSilent = () => {
      result.silentCount++;
    };
    connections.push(new Http2Connection(socket, all, { onRequest, onSilent }).start());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  result.port = (server.address() as AddressInfo).port;
  return result;
}

/** Returns what it receives, and ends when the client has ended. */
export function echo(stream: Http2Stream): void {
  let owedBytes = 0;
  stream.respond(ok);
  stream.attach({
    onData(chunk) {
      if (stream.write(chunk)) stream.consumed(chunk.length);
      else owedBytes += chunk.length;
    },
    onDrain() {
      stream.consumed(owedBytes);
      owedBytes = 0;
    },
    onEnd: () => stream.end(),
    onClose() {},
  });
}
