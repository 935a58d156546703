/**
 * The small HTTP server behind the health and admin ports. It shares nothing with the data path
 * and has deadlines of its own, so that a stuck scraper costs a socket for a few seconds at most.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Registry } from 'prom-client';
import { type ListenPlace, listen } from '../net/listen.ts';
import type { Logger } from '../process/logger.ts';

export interface AdminReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Answers GET and HEAD for one path. */
export type AdminRoute = (query: URLSearchParams) => AdminReply | Promise<AdminReply>;

/** By path, without a query. */
export type AdminRoutes = Readonly<Record<string, AdminRoute>>;

export interface AdminDeadlines {
  /** From the connection, or the last answer's end, to the end of the request head. */
  readonly headTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** How long a connection is kept open for another request. */
  readonly idleTimeoutMs: number;
}

const defaultDeadlines: AdminDeadlines = {
  headTimeoutMs: 5000,
  requestTimeoutMs: 10_000,
  idleTimeoutMs: 5000,
};

const maxHeadBytes = 8 * 1024;

/**
 * Of connections without a request under way, and of those with one. Beyond, the one that has been so for longest
 * is closed: were new ones turned away instead, a crowd that is silent, or does not read its answers, could keep a kubelet's
 * probe out, and have the process killed.
 */
const maxOfEachKind = 128;

/** A reply in JSON. */
export function jsonReply(status: number, value: unknown): AdminReply {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n` };
}

/** A reply of one line of text. */
export function textReply(status: number, line: string): AdminReply {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${line}\n` };
}

/**
 * `/healthz` says that the process runs; `/ready` and `/readyz` ask whether it can do its work.
 *
 * @param whyNotReady one line, or undefined if ready
 * @param notReadyStatus Konnectivity's: 500 for the server, 503 for the agent
 */
export function healthRoutes(
  whyNotReady: () => string | undefined | Promise<string | undefined>,
  notReadyStatus: 500 | 503,
): AdminRoutes {
  const ready = async () => {
    const reason = await whyNotReady();
    return reason === undefined ? textReply(200, 'ok') : textReply(notReadyStatus, reason);
  };
  return { '/healthz': () => textReply(200, 'ok'), '/ready': ready, '/readyz': ready };
}

/** `/metrics` in Prometheus' text format. */
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
  /** Connections without a request under way, in the order in which they began to wait. */
  readonly #waiting = new Set<Socket>();
  /** Those with one, which may take its time to be read. */
  readonly #answered = new Set<Socket>();

  constructor(routes: AdminRoutes, logger: Logger, deadlines: AdminDeadlines = defaultDeadlines) {
    this.#routes = new Map(Object.entries(routes));
    this.#logger = logger;
    this.#server = createServer({
      maxHeaderSize: maxHeadBytes,
      headersTimeout: deadlines.headTimeoutMs,
      requestTimeout: deadlines.requestTimeoutMs,
      keepAliveTimeout: deadlines.idleTimeoutMs,
      // How late a deadline may be noticed.
      connectionsCheckingInterval: Math.min(1000, deadlines.headTimeoutMs),
    });
    // A peer that does not read its answer.
    this.#server.timeout = deadlines.requestTimeoutMs;
    this.#server.on('connection', (socket) => this.#onConnection(socket));
    this.#server.on('request', (request, response) => void this.#answer(request, response));
  }

  /** @throws StartupError as listen() does */
  listen(place: ListenPlace): Promise<AddressInfo> {
    return listen(this.#server, place, this.#logger);
  }

  /** Stops listening and cuts open connections: nobody waits for a scraper. */
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
      this.#answered.delete(socket);
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    this.#waiting.delete(socket);
    if (!socket.destroyed) addLatest(this.#answered, socket);
    response.once('close', () => {
      if (this.#answered.delete(socket)) addLatest(this.#waiting, socket);
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
    if (!route) return textReply(404, `nothing here; try ${[...this.#routes.keys()].join(' ')}`);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return textReply(405, 'only GET and HEAD are answered here');
    }
    try {
      return await route(new URLSearchParams(query));
    } catch (err) {
      this.#logger.error({ err, path }, 'an admin request failed');
      return textReply(500, 'internal error');
    }
  }
}

/** Closes the first of them when there are too many. */
function addLatest(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  if (sockets.size <= maxOfEachKind) return;
  const [first] = sockets;
  first?.destroy();
}
