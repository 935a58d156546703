import { createServer } from 'node:net';
import { type ByteReport, countBytes } from './byte-report.ts';
import { type Endpoint, type EndpointOptions, Listener } from './listener.ts';
import { seededReadable, seededSha256 } from './seeded-bytes.ts';

const defaultAnswerBytes = 64 * 1024 * 1024;

export interface LateAnswerTargetOptions extends EndpointOptions {
  /** 64 MiB if left out. */
  readonly answerBytes?: number;
  readonly seed?: string;
}

/** A target that answers after the client's FIN. */
export interface LateAnswerTarget extends Endpoint {
  readonly answerBytes: number;
  /** SHA-256 in hex of the answer. */
  readonly sha256: string;
}

/** Starts a target that is silent until the client has ended its side, then answers and ends. */
export async function startLateAnswerTarget(
  options: LateAnswerTargetOptions = {},
): Promise<LateAnswerTarget> {
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

export interface EarlyEndTargetOptions extends EndpointOptions {
  /** Sent before the target ends its side; nothing if left out. */
  readonly greeting?: string;
  /** Called once per connection, after the client's FIN. */
  readonly onReport: (report: ByteReport) => void;
}

/**
 * Starts a target that ends its own side at once and then still reads everything that the client
 * sends; `onReport` tells what that was.
 */
export async function startEarlyEndTarget(options: EarlyEndTargetOptions): Promise<Endpoint> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.end(options.greeting ?? '');
    countBytes(socket).then(options.onReport, () => socket.destroy());
  });
  return Listener.start(server, options);
}
