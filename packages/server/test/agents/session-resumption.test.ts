import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { createLogger } from '@fairlead/runtime/process';
import { AgentListener } from '@fairlead/server/internal';
import { type ClientTls, sharedTestPki } from '@fairlead/testkit';
import t from 'tap';

/** Connects with ALPN fairlead/1 and waits until the server closes. Returns the TLS session of the server. */
async function refusedConnection(
  port: number,
  client: ClientTls,
  session?: Buffer,
): Promise<{ session: Buffer | undefined; resumed: boolean; bytes: Buffer }> {
  const socket: TLSSocket = connect({
    host: '127.0.0.1',
    port,
    servername: 'localhost',
    ALPNProtocols: ['fairlead/1'],
    ...client,
    session,
  });
  let ticket: Buffer | undefined;
  let resumed = false;
  const chunks: Buffer[] = [];
  socket.on('session', (data: Buffer) => {
    ticket = data;
  });
  socket.on('secureConnect', () => {
    resumed = socket.isSessionReused();
  });
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('end', () => socket.end());
  socket.on('error', () => {});
  await once(socket, 'close');
  return { session: ticket, resumed, bytes: Buffer.concat(chunks) };
}

t.test('refuses a peer again if it resumes the TLS session of a refusal', async (t) => {
  const pki = await sharedTestPki();
  const { ca, server, expiredClient } = pki.agent;
  let tunnels = 0;
  const listener = new AgentListener({
    host: '127.0.0.1',
    port: 0,
    tls: { ca, cert: server.cert, key: server.key },
    handshakeTimeoutMs: 60_000,
    headTimeoutMs: 60_000,
    maxHeadBytes: 16_384,
    logger: createLogger('silent', process.stderr),
    onTunnel: (transport) => {
      tunnels += 1;
      transport.destroy();
    },
    onRefused: () => {},
    onHandshake: () => {},
  });
  const { port } = await listener.listen();
  t.teardown(() => {
    listener.stop();
    listener.destroyAll();
  });
  const foreign = pki.foreign.client;
  const clients: Record<string, ClientTls> = {
    'no certificate': { ca },
    'a foreign certificate': { ca, cert: foreign.cert, key: foreign.key },
    'an expired certificate': { ca, cert: expiredClient.cert, key: expiredClient.key },
  };
  for (const [name, client] of Object.entries(clients)) {
    const first = await refusedConnection(port, client);
    t.ok(first.session, `${name}: the server sends a session ticket`);
    const second = await refusedConnection(port, client, first.session);
    t.ok(second.resumed, `${name}: the session is resumed`);
    t.equal(second.bytes[0], 11, `${name}: the answer is GOAWAY (spec 10.4)`);
  }
  t.equal(tunnels, 0, 'no peer gets a tunnel');
});
