import { TunnelError } from '@fairlead/protocol';
import { eventually } from '@fairlead/testkit/eventually';
import t from 'tap';
import { HELLO, RawPeer } from './raw-peer.ts';
import { connectedPair, memoryTransports, startPair } from './session-pair.ts';

t.test("2.9 an agent with refusePeer sends nothing before the server's HELLO", async (t) => {
  const seen: unknown[] = [];
  const peer = new RawPeer(t, 'agent', {
    refusePeer: (hello) => {
      seen.push(hello.versions);
      return undefined;
    },
  });
  // The session would have sent its HELLO before this tick.
  await new Promise((resolve) => setImmediate(resolve));
  t.strictSame(peer.frames, []);
  peer.send(HELLO);
  await peer.frame('HELLO');
  t.equal(peer.frames[0]?.name, 'HELLO');
  t.strictSame(seen, [[1]]);
  peer.send(HELLO);
  await peer.on.until(() => peer.on.hellos.length === 2);
  t.equal(seen.length, 1, 'refusePeer is called once');
});

t.test('2.9 a PING that arrives with HELLO is answered after HELLO is sent', async (t) => {
  const peer = new RawPeer(t, 'agent', { refusePeer: () => undefined });
  peer.send(HELLO, '09 00 0008 00000000 0102030405060708');
  await peer.frame('PONG');
  t.equal(peer.frames[0]?.name, 'HELLO');
});

t.test('2.9 a refused server receives GOAWAY and no HELLO', async (t) => {
  const transports = memoryTransports();
  const refusePeer = () => new TunnelError('duplicate_tunnel');
  const { server, onServer, onAgent } = startPair(transports, {}, { refusePeer });
  t.teardown(() => server.transport.destroy());
  t.equal((await onServer.closed())?.code, 'duplicate_tunnel');
  t.equal((await onAgent.closed())?.code, 'duplicate_tunnel');
  t.strictSame([onServer.hellos, onAgent.hellos], [[], []]);
});

t.test('a peer that refusePeer accepts can be used', async (t) => {
  const { server, agent } = await connectedPair(
    t,
    memoryTransports(),
    {},
    { refusePeer: ({ serverId }) => (serverId ? undefined : new TunnelError('internal_error')) },
  );
  t.equal(server.peerHello?.agentId, 'agent-1');
  t.equal(agent.peerHello?.serverId, 'server-1');
});

t.test(
  '2.12 a token is sent to a server that requests it, reported once and not stored',
  async (t) => {
    const { server, onServer, agent } = await connectedPair(
      t,
      memoryTransports(),
      { hello: { serverId: 'server-1', admitted: false } },
      {
        refusePeer: () => undefined,
        hello: (peer) => ({ agentId: 'x', ...(peer?.admitted === false && { token: 'secret' }) }),
      },
    );
    t.match(onServer.hellos, [{ agentId: 'x', token: 'secret' }]);
    t.strictSame(server.peerHello, { versions: [1], agentId: 'x' });
    agent.updateHello({ agentIdentifiers: 'host=a' });
    await onServer.until(() => onServer.hellos.length === 2);
    t.strictSame(onServer.hellos[1], { versions: [1], agentId: 'x', agentIdentifiers: 'host=a' });
    server.updateHello({ admitted: true, serverCount: 2 });
    await eventually('the agent is admitted', () => agent.peerHello?.admitted === true);
    t.match(agent.peerHello, { serverId: 'server-1', serverCount: 2 });
  },
);
