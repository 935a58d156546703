import { formatTarget } from '@fairlead/protocol';
import type { ClientHttp2Stream } from 'http2-wrapper';
import { type ClientError, toClientError, unanswered } from './client-error.ts';
import type { ClientHandler, ClientStream } from './client-stream.ts';
import { refusalOf } from './connect-answer.ts';
import { cancelHttp2Stream, connectionErrorOf, sharedHttp2Session } from './http2-session.ts';
import type { Route } from './route.ts';

/** Requests a stream to the route's target (RFC 9113, section 8.5). */
export function requestConnect(route: Route): ClientHttp2Stream {
  return sharedHttp2Session(route).request(
    { ':method': 'CONNECT', ':authority': formatTarget(route.target) },
    { endStream: false },
  );
}

/** Reads the refusal that follows a status other than 200, and closes the stream. */
export async function readRefusal(
  stream: ClientHttp2Stream,
  headers: Readonly<Record<string, unknown>>,
): Promise<ClientError> {
  const code = headers['fairlead-error'];
  const status = String(headers[':status']);
  let body = '';
  stream.setEncoding('utf8');
  try {
    for await (const text of stream) body += text;
  } catch {
    // The status is enough for an error.
  }
  stream.close();
  return refusalOf(status, code === undefined ? undefined : String(code), body);
}

export class Http2ConnectStream implements ClientStream {
  readonly #stream: ClientHttp2Stream;
  #error: Error | undefined;
  #refusal: Promise<ClientError> | undefined;
  #isAnswered = false;
  #isOurEnd = false;

  constructor(route: Route, handler: ClientHandler) {
    const stream = requestConnect(route);
    const { session } = stream;
    this.#stream = stream;
    stream.once('response', (headers) => {
      this.#isAnswered = true;
      if (headers[':status'] !== 200) {
        this.#refusal = readRefusal(stream, headers);
        return;
      }
      stream.on('data', (chunk: Buffer) => handler.onData(chunk));
      handler.onOpen();
    });
    stream.on('drain', () => handler.onDrain());
    stream.on('error', (error) => {
      this.#error ??= toClientError(error);
    });
    stream.once('close', async () => {
      const error = connectionErrorOf(session) ?? this.#error ?? this.#unanswered(route);
      handler.onClose(this.#refusal ? await this.#refusal : error);
    });
  }

  write(chunk: Buffer): boolean {
    return this.#stream.write(chunk);
  }

  stall(): void {
    this.#stream.pause();
  }

  end(): void {
    this.#stream.end();
  }

  destroy(): void {
    this.#isOurEnd = true;
    cancelHttp2Stream(this.#stream);
  }

  #unanswered({ tls }: Route): ClientError | undefined {
    return this.#isAnswered || this.#isOurEnd ? undefined : unanswered(tls !== undefined);
  }
}
