/**
 * The HTTP server of the health and admin ports. It is separate from the data path and has its own deadlines,
 * so that a stuck client occupies a socket for a few seconds at most.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Registry } from 'prom-client';
import { type ListenerAddress, listen } from '../net/listen.ts';
import type { Logger } from '../process/logger.ts';

export interface AdminReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Answers GET and HEAD of one path. */
export type AdminRoute = (query: URLSearchParams) => AdminReply | Promise<AdminReply>;

/** Routes by path, without a query. */
export type AdminRoutes = Readonly<Record<string, AdminRoute>>;

const defaultDeadlines = {
  /** From the connection, or the end of the last answer, to the end of the request head. */
  headTimeoutMs: 5000,
  requestTimeoutMs: 10_000,
  /** How long a connection is kept open for another request. */
  idleTimeoutMs: 5000,
};

const maxHeadBytes = 8 * 1024;

/**
 * The limit for connections that wait for a request, and for those with a request in progress. Beyond it, the
 * oldest of that kind is closed. If new ones were rejected instead, silent clients could lock out a kubelet's
 * probe, and the kubelet would kill the process.
 */
const maxPerState = 128;

export function jsonReply(status: number, value: unknown): AdminReply {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n` };
}

export function textReply(status: number, line: string): AdminReply {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${line}\n` };
}

/**
 * `/healthz` answers while the process runs. `/ready` and `/readyz` answer whether it can do its work.
 *
 * @param notReadyReason one line; undefined if ready
 * @param notReadyStatus as in Konnectivity: 500 for the server, 503 for the agent
 */
export function healthRoutes(
  notReadyReason: () => string | undefined | Promise<string | undefined>,
  notReadyStatus: 500 | 503,
): AdminRoutes {
  const ready = async () => {
    const reason = await notReadyReason();
    return reason === undefined ? textReply(200, 'ok') : textReply(notReadyStatus, reason);
  };
  return { '/healthz': () => textReply(200, 'ok'), '/ready': ready, '/readyz': ready };
}

export function metricsRoutes(registry: Pick<Registry, 'contentType' | 'metrics'>): AdminRoutes {
  return {
    '/metrics': async () => ({
      status: 200,
      contentType: registry.contentType,
      body: await registry.metrics(),
    }),
  };
}

export class HttpAdmin {
  readonly #server: Server;
  readonly #routes: ReadonlyMap<string, AdminRoute>;
  readonly #logger: Logger;
  /** Connections that wait for a request; the longest waiting first. */
  readonly #waiting = new Set<Socket>();
  /** Connections with a request in progress; the oldest request first. */
  readonly #answering = new Set<Socket>();

  constructor(routes: AdminRoutes, logger: Logger, deadlines = defaultDeadlines) {
    this.#routes = new Map(Object.entries(routes));
    this.#logger = logger;
    this.#server = createServer({
      maxHeaderSize: maxHeadBytes,
      headersTimeout: deadlines.headTimeoutMs,
      requestTimeout: deadlines.requestTimeoutMs,
      keepAliveTimeout: deadlines.idleTimeoutMs,
      // How late Node may notice a deadline.
      connectionsCheckingInterval: Math.min(1000, deadlines.headTimeoutMs),
    });
    // For a client that does not read its answer.
    this.#server.timeout = deadlines.requestTimeoutMs;
    this.#server.on('connection', (socket) => this.#onConnection(socket));
    this.#server.on('request', (request, response) => void this.#answer(request, response));
  }

  /** @throws StartupError as listen() does */
  listen(address: ListenerAddress): Promise<AddressInfo> {
    return listen(this.#server, address, this.#logger);
  }

  /** Stops listening and closes all connections, even those with a request in progress. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeAllConnections();
    await closed;
  }

  #onConnection(socket: Socket): void {
    addLatest(this.#waiting, socket);
    socket.once('close', () => {
      this.#waiting.delete(socket);
      this.#answering.delete(socket);
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    this.#waiting.delete(socket);
    if (!socket.destroyed) addLatest(this.#answering, socket);
    response.once('close', () => {
      if (this.#answering.delete(socket)) addLatest(this.#waiting, socket);
    });
    const reply = await this.#reply(request);
    if (reply.status === 405) response.setHeader('allow', 'GET, HEAD');
    response.writeHead(reply.status, {
      'content-type': reply.contentType,
      'content-length': Buffer.byteLength(reply.body),
      'cache-control': 'no-store',
    });
    response.end(reply.body);
  }

  async #reply(request: IncomingMessage): Promise<AdminReply> {
    const [path = '', query = ''] = (request.url ?? '').split('?');
    const route = this.#routes.get(path);
    if (!route) return textReply(404, `not found; try ${[...this.#routes.keys()].join(' ')}`);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return textReply(405, 'method not allowed; use GET or HEAD');
    }
    try {
      return await route(new URLSearchParams(query));
    } catch (err) {
      this.#logger.error({ err, path }, 'admin request failed');
      return textReply(500, 'internal error');
    }
  }
}

/** Adds a socket, and closes the first one if there are too many. */
function addLatest(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  if (sockets.size <= maxPerState) return;
  const [first] = sockets;
  first?.destroy();
}
