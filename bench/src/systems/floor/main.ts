/**
 * The cheapest tunnel that Node's documented interfaces allow: no policy, limits, metrics or logs.
 *
 *     node main.js server --front-end connect|grpc --uds PATH --ca F --cert F --key F
 *     node main.js agent --to HOST:PORT --ca F --cert F --key F
 *
 * The agent dials the server over mutual TLS. The server prints its port.
 */
import { readFileSync } from 'node:fs';
import {
  type AddressInfo,
  connect,
  createServer,
  type Socket,
  type TcpNetConnectOpts,
} from 'node:net';
import {
  type ConnectionOptions,
  connect as connectTls,
  createServer as createTlsServer,
  type TLSSocket,
} from 'node:tls';
import { parseArgs } from 'node:util';
import { warmSockets } from '@fairlead/runtime/net';
import { ConnectClient } from './connect-client.ts';
import { GrpcClient } from './grpc-client.ts';
import { SocketStream } from './socket-stream.ts';
import { Tunnel } from './tunnel.ts';

const readBytes = 64 * 1024;
/** Measures open hundreds of connections at once. */
const backlog = 4096;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ca: { type: 'string', default: '' },
    cert: { type: 'string', default: '' },
    key: { type: 'string', default: '' },
    to: { type: 'string', default: '' },
    uds: { type: 'string', default: '' },
    'front-end': { type: 'string', default: 'connect' },
  },
});
const tls = {
  ca: readFileSync(values.ca),
  cert: readFileSync(values.cert),
  key: readFileSync(values.key),
};

warmSockets();
if (positionals[0] === 'server') startServer();
else startAgent();

function startServer(): void {
  let tunnel: Tunnel | undefined;
  const agents = createTlsServer({ ...tls, requestCert: true, noDelay: true }, (socket) => {
    const started = new Tunnel(socket, () => {});
    tunnel = started;
    socket.on('data', (chunk) => started.receive(chunk));
    endWith(socket, started);
  });
  const Client = values['front-end'] === 'grpc' ? GrpcClient : ConnectClient;
  const clients = createServer({ allowHalfOpen: true }, (socket) => {
    if (tunnel) new Client(socket, tunnel);
    else socket.destroy();
  });
  clients.listen({ path: values.uds, backlog }, () => {
    agents.listen(0, '127.0.0.1', () => {
      console.log(`listening on ${(agents.address() as AddressInfo).port}`);
    });
  });
}

function startAgent(): void {
  let tunnel: Tunnel | undefined;
  let buffer = Buffer.allocUnsafeSlow(readBytes);
  const options: ConnectionOptions & Pick<TcpNetConnectOpts, 'onread'> = {
    ...tls,
    ...split(values.to),
    servername: 'localhost',
    // Missing in the types of `tls.connect`.
    onread: {
      buffer: () => {
        if (tunnel?.isHolding) {
          buffer = Buffer.allocUnsafeSlow(readBytes);
          tunnel.isHolding = false;
        }
        return buffer;
      },
      callback(bytes) {
        tunnel?.receive(buffer.subarray(0, bytes));
        return true;
      },
    },
  };
  const socket = connectTls(options).setNoDelay(true);
  const started: Tunnel = new Tunnel(socket, (id, address) => dial(started, id, address));
  tunnel = started;
  endWith(socket, started);
}

/** All targets read into this buffer. The tunnel copies its bytes at once. */
const readBuffer = Buffer.allocUnsafeSlow(readBytes);

function dial(tunnel: Tunnel, id: number, address: string): void {
  const { host, port } = split(address);
  // Not `...split(address)`, which is slow on Node 20 for the reason in `warmSockets`.
  const socket: Socket = connect({
    host,
    port,
    allowHalfOpen: true,
    noDelay: true,
    onread: {
      buffer: readBuffer,
      callback: (bytes) => stream.send(readBuffer.subarray(0, bytes)),
    },
  });
  const stream: SocketStream = new SocketStream(socket, tunnel, id);
  tunnel.add(id, stream);
  socket.on('connect', () => tunnel.opened(id));
}

function endWith(socket: TLSSocket, tunnel: Tunnel): void {
  socket.on('error', () => {});
  socket.on('close', () => tunnel.close());
}

function split(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}
