/**
 * A tunnel without a protocol of its own: HTTP/2 with reversed roles, in Node.
 *
 *     node http2-reversed-main.js near --ca F --cert F --key F --forward PATH=HOST:PORT ...
 *     node http2-reversed-main.js far  --ca F --cert F --key F --to HOST:PORT
 *
 * The far process dials the near one, then acts as the HTTP/2 server on that connection. The near process accepts
 * clients on Unix domain sockets, and sends a CONNECT for each client.
 */
import { readFileSync } from 'node:fs';
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  createServer as createHttp2Server,
  type Http2Stream,
} from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { parseArgs } from 'node:util';

/** HTTP/2's default window of 64 KiB would limit the rate. */
const windowBytes = 16 * 1024 * 1024;
const settings = { initialWindowSize: windowBytes, maxConcurrentStreams: 100_000 };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ca: { type: 'string', default: '' },
    cert: { type: 'string', default: '' },
    key: { type: 'string', default: '' },
    to: { type: 'string', default: '' },
    forward: { type: 'string', multiple: true, default: [] },
  },
});
const tls = {
  ca: readFileSync(values.ca),
  cert: readFileSync(values.cert),
  key: readFileSync(values.key),
  ALPNProtocols: ['h2'],
};

if (positionals[0] === 'near') startNear();
else startFar();

function startNear(): void {
  let tunnel: ClientHttp2Session | undefined;
  const agents = createTlsServer({ ...tls, requestCert: true, noDelay: true }, (socket) => {
    tunnel = connectHttp2('http://agent', { createConnection: () => socket, settings });
    tunnel.setMaxListeners(0);
    tunnel.on('error', ignore);
    tunnel.once('connect', () => tunnel?.setLocalWindowSize(windowBytes));
  });
  agents.listen(0, '127.0.0.1', () => {
    console.log(`listening on ${(agents.address() as AddressInfo).port}`);
  });
  for (const forward of values.forward) {
    const [path = '', authority = ''] = forward.split('=');
    const clients = createServer({ allowHalfOpen: true }, (client) => {
      if (!tunnel) client.destroy();
      else join(client, tunnel.request(connectHeaders(authority), { endStream: false }));
    });
    clients.listen(path);
  }
}

function startFar(): void {
  const server = createHttp2Server({ settings });
  server.on('session', (session) => {
    session.setLocalWindowSize(windowBytes);
    session.setMaxListeners(0);
  });
  server.on('stream', (stream, headers) => {
    const { host, port } = split(headers[':authority'] ?? '');
    const target = connect({ host, port, allowHalfOpen: true, noDelay: true });
    stream.respond({ ':status': 200 });
    join(target, stream);
  });
  const tunnel = connectTls({ ...tls, ...split(values.to), servername: 'localhost' }, () => {
    server.emit('connection', tunnel.setNoDelay(true));
  });
}

function join(socket: Socket, stream: Http2Stream): void {
  socket.on('error', () => stream.close());
  stream.on('error', () => socket.destroy());
  stream.once('close', () => socket.destroySoon());
  socket.pipe(stream).pipe(socket);
}

function connectHeaders(authority: string) {
  return { ':method': 'CONNECT', ':authority': authority };
}

function split(address: string): { host: string; port: number } {
  const [host = '', port = ''] = address.split(':');
  return { host, port: Number(port) };
}

/** Streams report a lost tunnel. */
function ignore(): void {}
