import { once } from 'node:events';
import https from 'node:https';
import net, { type AddressInfo, type Server } from 'node:net';
import tls from 'node:tls';
import {
  DuplexTransport,
  type Transport,
  WebSocketTransport,
  webSocketOptions,
  zeroMask,
} from '@fairlead/protocol';
import type { Test } from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { testServerCredentials } from './server-credentials.ts';

/** The server's end and the agent's end. The agent opened the connection. */
export type TransportPair = [Transport, Transport];

async function listening(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

export async function tcpTransports(t: Test): Promise<TransportPair> {
  const server = net.createServer({ allowHalfOpen: true });
  const port = await listening(t, server);
  const accepted = once(server, 'connection');
  const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  await once(socket, 'connect');
  const [serverSocket] = (await accepted) as [net.Socket];
  return [new DuplexTransport(serverSocket, 'tls'), new DuplexTransport(socket, 'tls')];
}

export async function tlsTransports(t: Test): Promise<TransportPair> {
  const { ca, cert, key } = await testServerCredentials();
  const server = tls.createServer({ cert, key });
  const port = await listening(t, server);
  const accepted = once(server, 'secureConnection');
  const socket = tls.connect({ host: '127.0.0.1', port, ca, servername: 'localhost' });
  await once(socket, 'secureConnect');
  const [serverSocket] = (await accepted) as [tls.TLSSocket];
  return [new DuplexTransport(serverSocket, 'tls'), new DuplexTransport(socket, 'tls')];
}

export async function webSocketTransports(t: Test): Promise<TransportPair> {
  const { ca, cert, key } = await testServerCredentials();
  const httpServer = https.createServer({ cert, key });
  const wsServer = new WebSocketServer({ noServer: true, ...webSocketOptions });
  const serverSide = new Promise<Transport>((resolve) => {
    httpServer.on('upgrade', (request, socket, head) => {
      wsServer.handleUpgrade(request, socket, head, (webSocket) => {
        resolve(new WebSocketTransport(webSocket, socket, 'server'));
      });
    });
  });
  const port = await listening(t, httpServer);
  const webSocket = new WebSocket(`wss://127.0.0.1:${port}/`, {
    ca,
    generateMask: zeroMask,
    ...webSocketOptions,
  });
  const agentSide = new Promise<Transport>((resolve) => {
    webSocket.on('upgrade', ({ socket }) => {
      webSocket.on('open', () => resolve(new WebSocketTransport(webSocket, socket, 'client')));
    });
  });
  return [await serverSide, await agentSide];
}
