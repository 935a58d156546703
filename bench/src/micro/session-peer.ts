/** The agent's end of a session in its own process, over plain TCP or TLS. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { DuplexTransport } from '@fairlead/protocol';
import { serveCalls } from '../process/calls.ts';
import { serveStreams } from './session-ends.ts';

/** PEM texts. */
export interface PeerTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

serveCalls({
  async listen(tls: PeerTls | undefined): Promise<number> {
    const onSocket = (socket: Socket) => serveStreams(new DuplexTransport(socket, 'tls'));
    const server = tls
      ? createTlsServer({ ...tls, requestCert: true, minVersion: 'TLSv1.3' }, onSocket)
      : createServer(onSocket);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  },
});
