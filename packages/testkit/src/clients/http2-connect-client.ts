import { once } from 'node:events';
import type {
  Agent,
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
} from 'http2-wrapper';
import { readText } from '../targets/byte-report.ts';
import type { Started } from '../targets/listener.ts';
import { type FrontEndAddress, openFrontEnd } from './front-end-address.ts';

const windowBytes = 16 * 1024 * 1024;

/** One HTTP/2 connection to a front end that carries many streams. */
export class Http2ConnectClient implements Started {
  readonly session: ClientHttp2Session;
  readonly #agent: Agent;
  readonly #closed: Promise<void>;

  private constructor(session: ClientHttp2Session, agent: Agent) {
    this.session = session;
    this.#agent = agent;
    // Each stream reports its failure. Without a listener, the session would throw the same error.
    session.on('error', () => {});
    this.#closed = new Promise((resolve) => session.once('close', resolve));
  }

  /**
   * Connects over a Unix domain socket or TLS with ALPN `h2` and waits for the peer's SETTINGS.
   * Rejects with the connection's error.
   */
  static async open(via: FrontEndAddress): Promise<Http2ConnectClient> {
    // Imported here, because most test files do not need them.
    const [{ Agent }, { EagerSocket }] = await Promise.all([
      import('http2-wrapper'),
      import('@fairlead/client'),
    ]);
    const socket = await openFrontEnd(via, 'h2');
    // node:http2 does not end its socket. If the socket stayed half-open, so would the session.
    socket.allowHalfOpen = false;
    const agent = new Agent();
    try {
      const session = await Promise.race([
        agent.getSession(originOf(via), {
          createConnection: () => new EagerSocket(socket),
          settings: { enablePush: false, initialWindowSize: windowBytes },
        }),
        // The session does not see a TLS alert that arrives before it owns the socket.
        once(socket, 'close').then(() => Promise.reject(new Error('closed before SETTINGS'))),
      ]);
      session.setLocalWindowSize(windowBytes);
      return new Http2ConnectClient(session, agent);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /**
   * Opens a stream to `target` (RFC 9113 section 8.5: `:authority` alone, no scheme, no path).
   * Rejects if the stream is reset or the connection lost before the answer.
   * @returns the answer, with the body of a refusal and the stream of a 200
   */
  async connect(target: string, headers: OutgoingHttpHeaders = {}) {
    const stream = this.session.request(
      { ...headers, ':method': 'CONNECT', ':authority': target },
      { endStream: false },
    );
    const answer = await Promise.race([once(stream, 'response'), closedEarly(stream)]);
    const received: IncomingHttpHeaders = answer[0];
    // A later failure ends the stream, which its reader sees.
    stream.on('error', () => {});
    const status = Number(received[':status']);
    const body = status === 200 ? '' : await readText(stream);
    return { status, headers: received, body, stream };
  }

  async close(): Promise<void> {
    this.session.destroy();
    this.#agent.destroy();
    await this.#closed;
  }
}

/** http2-wrapper compares the origin with the name in the server's certificate. */
function originOf(via: FrontEndAddress): string {
  if ('path' in via) return 'https://localhost';
  return `https://${via.tls?.servername ?? 'localhost'}:${via.port}`;
}

async function closedEarly(stream: ClientHttp2Stream): Promise<never> {
  await once(stream, 'close');
  throw new Error(`the stream closed without an answer (code ${stream.rstCode})`);
}
