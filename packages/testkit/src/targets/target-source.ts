import { createServer, type Socket } from 'node:net';
import { type Endpoint, type EndpointOptions, Listener } from './listener.ts';
import { seededReadable, seededSha256 } from './seeded-bytes.ts';

export interface SourceTargetOptions extends EndpointOptions {
  /** What every connection gets. */
  readonly totalBytes: number;
  /** Names the data (`seededChunks`). */
  readonly seed?: string;
}

/** A target that sends as soon as it is connected, then ends its side. */
export interface SourceTarget extends Endpoint {
  /** SHA-256 in hex of what every connection gets. */
  readonly sha256: string;
}

/** Starts a target that sends `totalBytes` of seeded data on connect and then ends its side. */
export async function startSourceTarget(options: SourceTargetOptions): Promise<SourceTarget> {
  const { totalBytes, seed = 'source' } = options;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.resume();
    seededReadable(seed, totalBytes).pipe(socket);
  });
  const listener = await Listener.start(server, options);
  return {
    host: listener.host,
    port: listener.port,
    // Computed on demand: hashing a GiB takes a second that a bench does not want to spend.
    get sha256() {
      return seededSha256(seed, totalBytes);
    },
    close: () => listener.close(),
  };
}

/** The request line of `startRequestedSourceTarget`. The seed must not hold a line feed. */
export function sourceRequest(totalBytes: number, seed = 'source'): string {
  return `${totalBytes} ${seed}\n`;
}

const maxRequestBytes = 1024;

/**
 * Starts a target that reads one line `BYTES SEED\n` (`sourceRequest`), answers with that much of
 * that seed's data and ends its side. A malformed or over-long line resets the connection.
 */
export async function startRequestedSourceTarget(options: EndpointOptions = {}): Promise<Endpoint> {
  // Loaded here only: many test files need nothing of this package.
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
