import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { encodeFields, Http2Connection, type Http2Stream } from '@fairlead/http2';
import { CONNECT_METHOD, type Packet, PacketStream, ServerCall } from '@fairlead/konnectivity';
import { MemoryBudget } from '@fairlead/protocol';
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
  const received: Packet[] = [];
  let onEnded = () => {};
  const untilEnd = new Promise<void>((resolve) => {
    onEnded = resolve;
  });
  const connections = new Set<Http2Connection>();
  const options = { headTimeoutMs: 60_000, maxHeadBytes: 16_384, memory: new MemoryBudget() };
  const server = createServer({ ca, cert, key, requestCert: true, ALPNProtocols: ['h2'] });
  server.on('secureConnection', (socket) => {
    const onRequest = (stream: Http2Stream) => {
      if (stream.request.path !== CONNECT_METHOD) {
        stream.respond(encodeFields({ ':status': '415' }), true);
        return;
      }
      stream.respond(
        encodeFields({
          ':status': '200',
          'content-type': 'application/grpc',
          serverid: 'crossing',
          servercount: '1',
        }),
      );
      const wire = new PacketStream(new ServerCall(stream), { onPacket() {}, onError() {} });
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
        onClose: () => onEnded(),
      });
    };
    const connection = new Http2Connection(socket, options, { onRequest, onSilent() {} });
    connections.add(connection.start());
  });
  server.listen(0, loopback);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const connection of connections) connection.destroy();
  });
  return { port: (server.address() as AddressInfo).port, received, untilEnd };
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
