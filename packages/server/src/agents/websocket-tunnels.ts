import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import {
  TUNNEL_PATH,
  TUNNEL_SUBPROTOCOL,
  TunnelError,
  toTunnelError,
  WebSocketTransport,
  webSocketOptions,
} from '@fairlead/protocol';
import { WebSocketServer } from 'ws';
import { refuseHttp1 } from '../listeners/refusal.ts';
import { agentsPort } from '../listeners/wrong-port.ts';
import type { AgentRequestHandler } from './agent-listener.ts';
import { wrongPath } from './http2-tunnels.ts';

/**
 * Tunnels in WebSockets (spec 10.2). A `node:http` server that does not listen parses the requests. Since its
 * own timeouts run only while it listens, this class sets the deadline.
 */
export class WebSocketTunnels {
  readonly #headTimeoutMs: number;
  readonly #server: Server;
  readonly #webSockets: WebSocketServer;
  /** Connections without a complete request yet, each with its deadline. */
  readonly #waiting = new Map<
    Duplex,
    { readonly handler: AgentRequestHandler; readonly deadline: NodeJS.Timeout }
  >();

  constructor(headTimeoutMs: number) {
    this.#headTimeoutMs = headTimeoutMs;
    this.#server = createServer();
    this.#server.on('upgrade', (request, socket, head) => {
      void this.#onUpgrade(request, socket, head);
    });
    this.#server.on('request', (request) => {
      const text = `only a WebSocket at ${TUNNEL_PATH} is served here: ${agentsPort}`;
      this.#refuse(request.socket, new TunnelError('bad_request', text));
    });
    this.#server.on('connect', (_request, socket: Duplex) => {
      const text = `CONNECT is not served here: ${agentsPort}`;
      this.#refuse(socket as Socket, new TunnelError('method_not_allowed', text));
    });
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
      if (error.code === 'ECONNRESET') socket.destroy();
      else this.#refuse(socket as Socket, new TunnelError('bad_request', error.message));
    });
    this.#webSockets = new WebSocketServer({
      ...webSocketOptions,
      noServer: true,
      handleProtocols: (offered) => offered.has(TUNNEL_SUBPROTOCOL) && TUNNEL_SUBPROTOCOL,
    });
  }

  /** Serves a connection that was admitted. */
  take(socket: TLSSocket, handler: AgentRequestHandler): void {
    const deadline = setTimeout(() => {
      handler.onSilent();
      socket.destroy();
    }, this.#headTimeoutMs);
    this.#waiting.set(socket, { handler, deadline });
    socket.once('close', () => this.#settle(socket));
    this.#server.emit('connection', socket);
  }

  /** Closes the connections without a complete request. */
  drain(): void {
    for (const socket of this.#waiting.keys()) socket.destroy();
  }

  async #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const handler = this.#settle(socket);
    if (!handler) return;
    const { identify, onTunnel } = handler;
    try {
      const error = refusalOfRequest(request);
      if (error) throw error;
      const peer = await identify(request.rawHeaders);
      if (socket.destroyed) return;
      this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        onTunnel(new WebSocketTransport(webSocket, socket, 'server'), peer);
      });
    } catch (thrown) {
      refuseHttp1(socket as Socket, toTunnelError(thrown));
    }
  }

  #refuse(socket: Socket, error: TunnelError): void {
    if (this.#settle(socket)) refuseHttp1(socket, error);
  }

  #settle(socket: Duplex): AgentRequestHandler | undefined {
    const waiting = this.#waiting.get(socket);
    clearTimeout(waiting?.deadline);
    this.#waiting.delete(socket);
    return waiting?.handler;
  }
}

function refusalOfRequest({ url, headers }: IncomingMessage): TunnelError | undefined {
  const path = url?.split('?')[0];
  if (path !== TUNNEL_PATH) return wrongPath(path);
  const offered = headers['sec-websocket-protocol']?.split(',').map((name) => name.trim());
  if (offered?.includes(TUNNEL_SUBPROTOCOL)) return undefined;
  const text = `the WebSocket must offer the subprotocol ${TUNNEL_SUBPROTOCOL}`;
  return new TunnelError('bad_request', text);
}
