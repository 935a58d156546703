import {
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { WebSocketServer } from 'ws';

/** Counts of the served requests; the answer to GET /stats. */
export interface KubeletStats {
  requests: number;
  upgrades: number;
  webSockets: number;
  /** The common name of the last client certificate; empty without TLS. */
  lastClient: string;
}

const pods = {
  kind: 'PodList',
  apiVersion: 'v1',
  metadata: {},
  items: [
    {
      metadata: { name: 'web-0', namespace: 'default' },
      spec: { containers: [{ name: 'web', image: 'registry.example/web:1' }] },
      status: { phase: 'Running', podIP: '10.1.0.10' },
    },
    {
      metadata: { name: 'dns-0', namespace: 'kube-system' },
      spec: { containers: [{ name: 'dns', image: 'registry.example/dns:1' }] },
      status: { phase: 'Running', podIP: '10.1.0.11' },
    },
  ],
};

/**
 * The answers of a kubelet or a pod, for an `http` or `https` server:
 *
 * - GET /healthz: `ok`
 * - GET /pods: a PodList
 * - GET /stats: `KubeletStats`
 * - GET /containerLogs/NAMESPACE/POD/CONTAINER?lines=10&intervalMs=100: chunked, one line a chunk,
 *   the first at once
 * - /exec with `Upgrade: NAME`: 101, then a raw echo
 * - /ws, or any path with `Upgrade: websocket`: a WebSocket echo
 */
export class KubeletRoutes {
  readonly stats: KubeletStats = { requests: 0, upgrades: 0, webSockets: 0, lastClient: '' };
  readonly #webSockets: WebSocketServer;

  constructor(webSockets: WebSocketServer) {
    this.#webSockets = webSockets;
  }

  readonly onRequest: RequestListener = (request, response) => {
    this.#noteClient(request);
    const url = new URL(request.url ?? '/', 'http://target');
    if (url.pathname.startsWith('/containerLogs/')) trickle(url.searchParams, response);
    else if (url.pathname === '/healthz') answer(response, 200, 'text/plain', 'ok');
    else if (url.pathname === '/pods') answerJson(response, pods);
    else if (url.pathname === '/stats') answerJson(response, this.stats);
    else if (url.pathname === '/exec') answer(response, 426, 'text/plain', 'upgrade required\n');
    else answer(response, 404, 'text/plain', `no such page: ${url.pathname}\n`);
  };

  readonly onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    this.#noteClient(request);
    socket.on('error', () => {});
    if (request.headers.upgrade?.toLowerCase() === 'websocket') {
      this.stats.webSockets++;
      this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        webSocket.on('message', (data, isBinary) => webSocket.send(data, { binary: isBinary }));
      });
      return;
    }
    if (!request.url?.startsWith('/exec')) {
      socket.end(`HTTP/1.1 404 ${STATUS_CODES[404]}\r\nConnection: close\r\n\r\n`);
      return;
    }
    this.stats.upgrades++;
    socket.write(
      `HTTP/1.1 101 ${STATUS_CODES[101]}\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\n\r\n`,
    );
    socket.write(head);
    socket.pipe(socket);
  };

  #noteClient(request: IncomingMessage): void {
    this.stats.requests++;
    if (!(request.socket instanceof TLSSocket)) return;
    const commonName = request.socket.getPeerCertificate().subject?.CN;
    this.stats.lastClient = (Array.isArray(commonName) ? commonName[0] : commonName) ?? '';
  }
}

function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

function answerJson(response: ServerResponse, body: unknown): void {
  answer(response, 200, 'application/json', `${JSON.stringify(body)}\n`);
}

function trickle(query: URLSearchParams, response: ServerResponse): void {
  const lines = Number(query.get('lines') ?? 10);
  const intervalMs = Number(query.get('intervalMs') ?? 100);
  response.writeHead(200, { 'content-type': 'text/plain' });
  let sent = 0;
  const sendLine = () => {
    sent++;
    response.write(`${new Date().toISOString()} line ${sent} of ${lines}\n`);
    if (sent < lines) return;
    clearInterval(timer);
    response.end();
  };
  const timer = setInterval(sendLine, intervalMs);
  response.once('close', () => clearInterval(timer));
  sendLine();
}
