import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createSecureServer, type Http2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { CONNECT_METHOD, type Packet, PacketStream } from '@fairlead/konnectivity';
import { sharedTestPki, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { loopback, startAgent } from '../support/fleet.ts';

/**
 * A server that speaks Konnectivity's protocol and sends one more dial after the agent's DRAIN, as if the two
 * had crossed on the network.
 */
async function startCrossingServer(t: Test, target: string) {
  const { agent } = await sharedTestPki();
  const [ca, cert, key] = await Promise.all(
    [agent.caFile, agent.server.certFile, agent.server.keyFile].map((file) => readFile(file)),
  );
  const http2 = createSecureServer({ ca, cert, key, requestCert: true, ALPNProtocols: ['h2'] });
  const sessions = new Set<Http2Session>();
  http2.on('session', (session) => sessions.add(session));
  const received: Packet[] = [];
  const untilEnd = new Promise<void>((resolve) => {
    http2.on('stream', (stream: ServerHttp2Stream, headers) => {
      if (headers[':path'] !== CONNECT_METHOD) {
        stream.respond({ ':status': 415 }, { endStream: true });
        return;
      }
      stream.respond(
        { 'content-type': 'application/grpc', serverid: 'crossing', servercount: '1' },
        { waitForTrailers: true },
      );
      const wire = new PacketStream(stream, 'server', { onPacket() {}, onError() {} });
      wire.start({
        onPacket: (packet) => {
          received.push(packet);
          if (packet.type === 'DRAIN') {
            wire.send({ type: 'DIAL_REQ', protocol: 'tcp', address: target, random: 7n });
          } else if (packet.type === 'DIAL_RSP') {
            wire.sendData(packet.connectId, Buffer.from('are you there?'));
          } else if (packet.type === 'DATA') {
            wire.send({ type: 'CLOSE_REQ', connectId: packet.connectId });
          }
        },
        onDrain() {},
        onEnd: () => wire.end(),
        onClose: () => resolve(),
      });
    });
  });
  http2.listen(0, loopback);
  await once(http2, 'listening');
  t.teardown(() => {
    http2.close();
    for (const session of sessions) session.destroy();
  });
  return { port: (http2.address() as AddressInfo).port, received, untilEnd };
}

t.test('an idle agent that drains serves a dial that crosses its DRAIN', async (t) => {
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const server = await startCrossingServer(t, `${echo.host}:${echo.port}`);
  const { agent, log } = await startAgent(t, server.port, { agentId: 'x', transport: 'grpc' });
  await log.line('connected');
  await agent.drain();
  await server.untilEnd;
  t.match(server.received, [
    { type: 'DRAIN' },
    { type: 'DIAL_RSP', random: 7n, error: '' },
    { type: 'DATA', data: Buffer.from('are you there?') },
    { type: 'CLOSE_RSP', error: '' },
  ]);
});
