/** --transport=auto behind a load balancer that terminates TLS. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { eventually, startEchoTarget } from '@fairlead/testkit';
import t from 'tap';
import { authority, echoLine, openClient } from './clients.ts';
import {
  linesOf,
  loopback,
  startAgent,
  startServer,
  testPki,
  untilAgentsConnected,
} from './fixture.ts';

t.test('an agent goes on to WebSocket if its TLS peer supports no ALPN', async (t) => {
  const server = await startServer(t);
  const { agent: pki } = await testPki();
  let isServerReachable = false;
  const requests: string[] = [];
  const { ca } = pki;
  const balancer = tls.createServer({ ...pki.server, ca, requestCert: true }, (socket) => {
    socket.on('error', () => {});
    if (isServerReachable) {
      const upstream = { ...pki.client, ca, ALPNProtocols: ['http/1.1'] };
      const onward = tls.connect({ ...upstream, host: loopback, port: server.agentPort });
      onward.on('error', () => socket.destroy());
      socket.on('close', () => onward.destroy());
      socket.pipe(onward).pipe(socket);
      return;
    }
    socket.once('data', (data) => {
      requests.push(data.toString('latin1').split('\r\n', 1)[0]!);
      socket.end('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n');
    });
  });
  balancer.listen(0, loopback);
  await once(balancer, 'listening');
  t.teardown(() => balancer.close());

  const { port } = balancer.address() as AddressInfo;
  const agent = await startAgent(t, port, { transport: 'auto' });
  await eventually('the agent goes on after failures', () => requests.length >= 3);
  t.strictSame([...new Set(requests)], ['GET /fairlead/v1/tunnel HTTP/1.1']);
  const line = await agent.process.waitForLog(({ msg }) => msg === 'cannot connect');
  t.equal(line.reason, 'protocol_mismatch');
  t.match(line.detail, /: tls: .* \(ALPN\).*; websocket: .*503/);

  isServerReachable = true;
  await untilAgentsConnected(server);
  t.match(linesOf(server.process, 'agent connected'), [{ transport: 'websocket' }]);
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const client = await openClient['HTTP/1.1 over the UDS'](t, server);
  await echoLine(await client.open(authority(target)), 'through the balancer\n');
});
