import type { IncomingMessage } from 'node:http';
import {
  formatTarget,
  type Transport,
  TUNNEL_PATH,
  TUNNEL_SUBPROTOCOL,
  WebSocketTransport,
  webSocketOptions,
  zeroMask,
} from '@fairlead/protocol';
import { WebSocket } from 'ws';
import { authorizationHeader } from '../identity/agent-token.ts';
import { type Connect, ConnectAttempt } from './connect-attempt.ts';
import { ConnectError, refusedByHttp } from './connect-error.ts';
import { openServerConnection } from './server-connection.ts';

/** Frames in a WebSocket (spec 10.2). */
export const connectWebSocket: Connect = (endpoint, tls, options) =>
  ConnectAttempt.run(options, async (attempt) => {
    const headers = authorizationHeader(options.tokenPath);
    const { socket, peer, explain } = await openServerConnection(
      attempt,
      endpoint,
      tls,
      'http/1.1',
    );
    attempt.begin(`waiting for the WebSocket of ${peer.address}`);
    // Load balancers route by this name, as they do by SNI.
    const host = formatTarget({ host: peer.name, port: endpoint.port });
    const webSocket = new WebSocket(`wss://${host}${TUNNEL_PATH}`, [TUNNEL_SUBPROTOCOL], {
      ...webSocketOptions,
      headers,
      createConnection: () => socket,
      generateMask: zeroMask,
    });
    return await new Promise<Transport>((resolve, reject) => {
      webSocket.once('open', () => resolve(new WebSocketTransport(webSocket, socket, 'client')));
      webSocket.once('unexpected-response', (_request, response: IncomingMessage) => {
        refusedByHttp(peer.address, response.statusCode, response.headers, response).then(reject);
      });
      webSocket.once('error', (error: NodeJS.ErrnoException) => {
        // An error of the connection has a code. Without one, ws complains about the answer.
        const text = `the server at ${peer.address} did not accept a Fairlead WebSocket: ${error.message}`;
        if (error.code !== undefined) reject(explain(error));
        else reject(new ConnectError('protocol_mismatch', text, { cause: error }));
      });
    });
  });
