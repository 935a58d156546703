import type { IncomingMessage } from 'node:http';
import { formatTarget, type Transport } from '@fairlead/protocol';
import {
  TUNNEL_PATH,
  TUNNEL_SUBPROTOCOL,
  WebSocketTransport,
  webSocketOptions,
  zeroMask,
} from '@fairlead/protocol/internal';
import { WebSocket } from 'ws';
import { authorizationHeader } from '../identity/agent-token.ts';
import { ConnectAttempt, type Connector } from './connect-attempt.ts';
import { ConnectError } from './connect-error.ts';
import { refusedByHttp } from './refused-by-http.ts';
import { openServerConnection, type SecureConnection } from './server-connection.ts';

/** Frames in a WebSocket (spec 10.2). */
export const connectWebSocket: Connector = (endpoint, tls, options) =>
  ConnectAttempt.run(options, async (attempt) => {
    const headers = authorizationHeader(options.tokenPath);
    const connection = await openServerConnection(attempt, endpoint, tls, 'http/1.1');
    attempt.begin(`waiting for the WebSocket of ${connection.peer.address}`);
    // A load balancer finds the server by this name, as by SNI.
    const host = formatTarget({ host: connection.peer.name, port: endpoint.port });
    return await upgrade(connection, `wss://${host}${TUNNEL_PATH}`, headers);
  });

function upgrade(
  connection: SecureConnection,
  url: string,
  headers: { readonly authorization?: string },
): Promise<Transport> {
  const { socket, peer, explain } = connection;
  const webSocket = new WebSocket(url, [TUNNEL_SUBPROTOCOL], {
    ...webSocketOptions,
    headers,
    createConnection: () => socket,
    generateMask: zeroMask,
  });
  return new Promise((resolve, reject) => {
    webSocket.once('open', () => {
      resolve(new WebSocketTransport(webSocket, socket, 'client'));
    });
    webSocket.once('unexpected-response', (_request, response: IncomingMessage) => {
      refusedByHttp(peer.address, response.statusCode, response.headers, response).then(reject);
    });
    webSocket.once('error', (error: NodeJS.ErrnoException) => {
      // Errors of ws about the answer have no code, those of the connection do.
      if (error.code !== undefined) reject(explain(error));
      else reject(answerError(peer.address, error));
    });
  });
}

function answerError(address: string, error: Error): ConnectError {
  return new ConnectError(
    'protocol_mismatch',
    `the server at ${address} did not answer as a WebSocket of Fairlead: ${error.message}`,
    { cause: error },
  );
}
