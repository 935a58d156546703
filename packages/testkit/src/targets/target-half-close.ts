import { createServer } from 'node:net';
import { type ByteReport, countBytes } from './byte-report.ts';
import { type Endpoint, type EndpointOptions, Listener } from './listener.ts';
import { seededReadable, seededSha256 } from './seeded-bytes.ts';

const defaultAnswerBytes = 64 * 1024 * 1024;

/**
 * Starts a target that answers after the client's FIN, and then ends its side. `sha256` is that of the
 * answer, in hex.
 * @param options.answerBytes 64 MiB if left out
 */
export async function startLateAnswerTarget(
  options: EndpointOptions & { readonly answerBytes?: number; readonly seed?: string } = {},
): Promise<Endpoint & { readonly answerBytes: number; readonly sha256: string }> {
  const { answerBytes = defaultAnswerBytes, seed = 'late answer' } = options;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    countBytes(socket, { hash: false }).then(
      () => seededReadable(seed, answerBytes).pipe(socket),
      () => socket.destroy(),
    );
  });
  const listener = await Listener.start(server, options);
  return {
    host: listener.host,
    port: listener.port,
    answerBytes,
    get sha256() {
      return seededSha256(seed, answerBytes);
    },
    close: () => listener.close(),
  };
}

/**
 * Starts a target that ends its side at once, and reads all bytes that the client sends.
 * @param options.greeting sent before the target's end
 * @param options.onReport called once for each connection, after the client's FIN
 */
export async function startEarlyEndTarget(
  options: EndpointOptions & {
    readonly greeting?: string;
    readonly onReport: (report: ByteReport) => void;
  },
): Promise<Endpoint> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.end(options.greeting ?? '');
    countBytes(socket).then(options.onReport, () => socket.destroy());
  });
  return Listener.start(server, options);
}
