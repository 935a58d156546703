import { createServer, type Socket } from 'node:net';
import { type Endpoint, type EndpointOptions, Listener } from './listener.ts';
import { seededReadable, seededSha256 } from './seeded-bytes.ts';

/**
 * Starts a target that sends `totalBytes` of seeded data to each connection and then ends its side.
 * `sha256` is that of the data, in hex.
 * @param options.seed names the data (`seededChunks`)
 */
export async function startSourceTarget(
  options: EndpointOptions & { readonly totalBytes: number; readonly seed?: string },
): Promise<Endpoint & { readonly sha256: string }> {
  const { totalBytes, seed = 'source' } = options;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.resume();
    seededReadable(seed, totalBytes).pipe(socket);
  });
  const listener = await Listener.start(server, options);
  return {
    host: listener.host,
    port: listener.port,
    // On demand, because hashing a GiB takes a second.
    get sha256() {
      return seededSha256(seed, totalBytes);
    },
    close: () => listener.close(),
  };
}

/** The request line of `startRequestedSourceTarget`. The seed must not contain a line feed. */
export function sourceRequest(totalBytes: number, seed = 'source'): string {
  return `${totalBytes} ${seed}\n`;
}

const maxRequestBytes = 1024;

/**
 * Starts a target that reads one line `BYTES SEED\n` (`sourceRequest`), answers with that many bytes of
 * the seed's data, and ends its side. It resets a connection whose line is malformed or too long.
 */
export async function startRequestedSourceTarget(options: EndpointOptions = {}): Promise<Endpoint> {
  // Imported here, because many test files do not need it.
  const { resetSocket } = await import('@fairlead/protocol');
  const server = createServer({ allowHalfOpen: true }, (socket) =>
    answerRequest(socket, () => resetSocket(socket)),
  );
  return Listener.start(server, options);
}

function answerRequest(socket: Socket, reset: () => void): void {
  let line = '';
  const onData = (chunk: Buffer) => {
    line += chunk.toString('latin1');
    const end = line.indexOf('\n');
    if (end < 0 && line.length <= maxRequestBytes) return;
    socket.off('data', onData);
    const match = /^(\d+) (.+)$/.exec(line.slice(0, end));
    if (!match) {
      reset();
      return;
    }
    socket.resume();
    seededReadable(match[2]!, Number(match[1])).pipe(socket);
  };
  socket.on('data', onData);
}
