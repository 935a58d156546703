import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createSecureServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type net from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import tls, { type TLSSocket } from 'node:tls';
import {
  DuplexTransport,
  HTTP2_WINDOW_BYTES,
  type Transport,
  TUNNEL_ALPN,
  TUNNEL_PATH,
  TUNNEL_SUBPROTOCOL,
  WebSocketTransport,
  webSocketOptions,
} from '@fairlead/protocol';
import { Changes } from '@fairlead/testkit';
import type { Test } from 'tap';
import { WebSocketServer } from 'ws';

export const greeting = 'hello ';

/** A listener and its connections. */
export interface TestServer {
  readonly port: number;
  /** All TLS connections so far, in order. */
  readonly secured: TLSSocket[];
  /** Whether each of them resumed a TLS session. */
  readonly resumed: boolean[];
  /** Open TCP connections. */
  readonly open: Set<net.Socket>;
  /** Resolves when no connection is open. */
  allClosed(): Promise<void>;
}

/** Starts a server's listener, and closes it and its connections after the test. */
export async function listenForTest(
  t: Test,
  server: net.Server,
  host = '127.0.0.1',
): Promise<TestServer> {
  const open = new Set<net.Socket>();
  const secured: TLSSocket[] = [];
  const resumed: boolean[] = [];
  const changes = new Changes();
  server.on('connection', (socket: net.Socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      open.delete(socket);
      changes.notify();
    });
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', () => {});
    secured.push(socket);
    resumed.push(socket.isSessionReused());
  });
  server.on('tlsClientError', () => {});
  server.listen(0, host);
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    secured,
    resumed,
    open,
    allClosed: async () => {
      await changes.until(() => open.size === 0, 'no connection is open');
    },
  };
}

/** Sends the greeting, echoes, and ends when the peer ends. */
function echo(transport: Transport): void {
  transport.start({
    onBytes: (chunk) => transport.write(chunk, () => {}),
    onClose: () => {},
  });
  transport.write(Buffer.from(greeting), () => {});
}

/** Options of every kind of server, including ALPN. */
export interface ServerOptions extends tls.TlsOptions {
  readonly host?: string;
}

export function startTlsServer(t: Test, { host, ...options }: ServerOptions): Promise<TestServer> {
  const server = tls.createServer({ ALPNProtocols: [TUNNEL_ALPN], ...options }, (socket) => {
    echo(new DuplexTransport(socket, 'tls'));
  });
  return listenForTest(t, server, host);
}

export interface HttpRefusal {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body: string;
}

export function startWebSocketServer(
  t: Test,
  {
    host,
    refusal,
    subprotocol = TUNNEL_SUBPROTOCOL,
    ...options
  }: ServerOptions & {
    refusal?: HttpRefusal;
    subprotocol?: string | false;
  },
): Promise<TestServer> {
  const http = createHttpServer();
  const webSockets = new WebSocketServer({
    noServer: true,
    ...webSocketOptions,
    handleProtocols: () => subprotocol,
  });
  http.on('upgrade', (request, socket: Duplex, head) => {
    t.equal(request.url, TUNNEL_PATH);
    if (refusal) {
      const { status, headers = {}, body } = refusal;
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.end(
        `HTTP/1.1 ${status} No\r\n${lines.join('')}content-length: ${body.length}\r\n\r\n${body}`,
      );
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      echo(new WebSocketTransport(webSocket, socket, 'server'));
    });
  });
  const server = tls.createServer({ ALPNProtocols: ['http/1.1'], ...options }, (socket) => {
    http.emit('connection', socket);
  });
  return listenForTest(t, server, host);
}

export function startHttp2Server(
  t: Test,
  {
    host,
    refusal,
    onTunnel,
    ...options
  }: ServerOptions & {
    refusal?: HttpRefusal;
    onTunnel?: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;
  },
): Promise<TestServer> {
  const server = createSecureServer({
    ...options,
    settings: { initialWindowSize: HTTP2_WINDOW_BYTES },
  });
  server.on('sessionError', () => {});
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    onTunnel?.(stream, headers);
    if (refusal) {
      stream.respond({ ':status': refusal.status, ...refusal.headers });
      stream.end(refusal.body);
      return;
    }
    stream.respond({ ':status': 200 });
    echo(new DuplexTransport(stream, 'http2'));
  });
  return listenForTest(t, server, host);
}
