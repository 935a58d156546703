import { CONNECT_METHOD, type Packet, PROXY_METHOD } from '@fairlead/konnectivity';
import { createLogger } from '@fairlead/runtime/process';
import { createServer, type ServerOptions } from '@fairlead/server';
import {
  connectThrough,
  eventually,
  type FrontEndAddress,
  makeTemporaryDirectory,
  sharedTestPki,
} from '@fairlead/testkit';
import { controlTime } from '@fairlead/testkit/controlled-time';
import { status as grpcStatus } from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { type GrpcCall, GrpcPeer } from '../grpc-peer.ts';

/** Starts a server on loopback, to which agents connect with grpc-js. */
async function start(t: Test, options: Partial<ServerOptions> = {}) {
  const [directory, pki] = await Promise.all([makeTemporaryDirectory(), sharedTestPki()]);
  const udsName = `${directory.path}/s`;
  const { server: own, caFile, ca, client } = pki.agent;
  const lines: { msg: string; [field: string]: unknown }[] = [];
  const logger = createLogger('debug', { write: (line: string) => lines.push(JSON.parse(line)) });
  const server = await createServer(
    {
      udsName,
      clusterCert: own.certFile,
      clusterKey: own.keyFile,
      clusterCaCert: caFile,
      agentPort: 0,
      agentBindAddress: '127.0.0.1',
      healthPort: 0,
      healthBindAddress: '127.0.0.1',
      adminPort: 0,
      serverId: 'server-1',
      serverCount: 3,
      gracefulShutdownTimeout: 60_000,
      ...options,
    },
    logger,
  );
  t.teardown(async () => {
    await server.close();
    await directory.close();
  });
  const { agent, admin } = server.addresses;
  const address = `127.0.0.1:${agent.port}`;
  const connect = (tls = { ca, cert: client.cert, key: client.key }) =>
    new GrpcPeer(t, { address, tls });
  const status = async () => {
    const answer = await fetch(`http://127.0.0.1:${admin.port}/api/v1/status`);
    return (await answer.json()) as { agents: object[]; streams: number };
  };
  const metric = async (name: string) => {
    const answer = await fetch(`http://127.0.0.1:${admin.port}/metrics`);
    const rows = (await answer.text()).split('\n');
    return Number(
      rows
        .find((row) => row.startsWith(`${name} `))
        ?.split(' ')
        .at(-1),
    );
  };
  const via: FrontEndAddress = { path: udsName };
  return { server, connect, status, metric, via, lines, pki };
}

const identity = { agentID: 'go-1', agentIdentifiers: 'host=node1&default-route=true' };

/** Opens an agent's call and waits for the server's metadata. */
async function join(
  peer: GrpcPeer,
  metadata: Record<string, string> = identity,
): Promise<GrpcCall> {
  const call = peer.call(CONNECT_METHOD, metadata);
  await call.until(() => call.metadata !== undefined || call.status !== undefined);
  return call;
}

t.test('answers an agent with the server ID and count, and adds it as a backend', async (t) => {
  const { connect, status, metric } = await start(t);
  const agent = await join(connect());
  t.same(agent.metadata?.get('serverID'), ['server-1']);
  t.same(agent.metadata?.get('serverCount'), ['3']);
  t.match((await status()).agents, [
    { agentId: 'go-1', transport: 'grpc', isDraining: false, streams: 0 },
  ]);
  const connections =
    'konnectivity_network_proxy_server_grpc_connections{service_method="Connect"}';
  t.equal(await metric(connections), 1);
  agent.cancel();
  await agent.ended();
});

t.test('refuses invalid metadata', async (t) => {
  const { connect, status } = await start(t);
  const peer = connect();
  const wrong = [{}, { agentID: '' }, { agentID: 'x'.repeat(256) }];
  for (const metadata of wrong) {
    const call = await join(peer, metadata as Record<string, string>);
    t.match(await call.ended(), { code: grpcStatus.INVALID_ARGUMENT, details: /agentID/ });
  }
  const long = await join(peer, { agentID: 'a', agentIdentifiers: 'x'.repeat(8193) });
  t.match(await long.ended(), { code: grpcStatus.INVALID_ARGUMENT, details: /agentIdentifiers/ });
  const other = peer.call('/AgentService/Other');
  t.match(await other.ended(), { code: grpcStatus.UNIMPLEMENTED });
  t.same((await status()).agents, []);
});

t.test('refuses an agent with a certificate of another CA in its own protocol', async (t) => {
  const { connect, lines, pki } = await start(t);
  const { ca } = pki.agent;
  const { cert, key } = pki.frontend.client;
  const call = await join(connect({ ca, cert, key }));
  t.match(await call.ended(), {
    code: grpcStatus.UNAUTHENTICATED,
    details: /a CA that is not trusted/,
  });
  t.match(
    lines.find(({ msg }) => msg === 'agent refused'),
    { level: 'warn' },
  );
});

/** Answers a dial with success. */
async function accept(agent: GrpcCall, connectId: bigint): Promise<Packet> {
  const request = await agent.take('DIAL_REQ');
  agent.send({ type: 'DIAL_RSP', random: request.random, connectId, error: '' });
  return request;
}

t.test('treats two connections with one agent ID as two backends', async (t) => {
  const { connect, via, status } = await start(t);
  // Two agents with the same ID, which use the same connection IDs.
  const agents = [await join(connect()), await join(connect())];
  const served = new Set<number>();
  agents.forEach((agent, index) => {
    void (async () => {
      for (let count = 1n; ; count += 1n) {
        await accept(agent, count);
        served.add(index);
        agent.data(count, `from ${index}`);
        agent.send({ type: 'CLOSE_RSP', connectId: count, error: '' });
      }
    })().catch(() => {});
  });
  const read = async () => {
    const { status, socket } = await connectThrough({ via, target: 'node1:10250' });
    let text = '';
    for await (const chunk of socket) text += chunk;
    socket.destroy();
    return `${status} ${text}`;
  };
  await eventually('both agents served a stream', async () => {
    t.match(await read(), /^200 from [01]$/);
    return served.size === 2;
  });
  t.equal((await status()).agents.length, 2);
});

t.test('uses a draining agent only if there is no other', async (t) => {
  const { connect, via, status } = await start(t);
  const [first, second] = [await join(connect()), await join(connect())];
  first.send({ type: 'DRAIN' });
  await eventually('one agent is draining', async () =>
    JSON.stringify(await status()).includes('"isDraining":true'),
  );
  for (let count = 0; count < 10; count += 1) {
    const reply = connectThrough({ via, target: 'a:1' });
    await accept(second, BigInt(count + 1));
    (await reply).socket.destroy();
  }
  t.same(first.received, []);
  second.cancel();
  await eventually('one agent is left', async () => (await status()).agents.length === 1);
  const reply = connectThrough({ via, target: 'a:1' });
  await accept(first, 99n);
  const { status: answer, socket } = await reply;
  t.equal(answer, 200);
  socket.destroy();
});

t.test('streams through Konnectivity’s agents can finish while the server drains', async (t) => {
  const { server, connect, via } = await start(t);
  const agent = await join(connect());
  const reply = connectThrough({ via, target: 'a:1' });
  await accept(agent, 1n);
  const { socket } = await reply;
  socket.write('request');
  await agent.take('DATA');
  const drained = server.drain();
  agent.data(1n, 'answer');
  agent.send({ type: 'CLOSE_RSP', connectId: 1n, error: '' });
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('end', () => socket.end());
  await drained;
  t.equal(text, 'answer');
  t.match(
    await agent.ended(),
    { code: grpcStatus.OK },
    'the call ends with OK, so that the agent connects to other servers',
  );
});

for (const maxTunnelBandwidth of [undefined, 1_000_000]) {
  const limit = maxTunnelBandwidth === undefined ? 'no bandwidth limit' : 'a bandwidth limit';
  t.test(`with ${limit}, the agent closes a closed client's connection within 1 s`, async (t) => {
    const time = controlTime(t);
    const { connect, via } = await start(t, { ...(maxTunnelBandwidth && { maxTunnelBandwidth }) });
    const agent = await join(connect());
    const client = new GrpcPeer(t, { address: `unix:${via.path}` }).call(PROXY_METHOD);
    client.send({ type: 'DIAL_REQ', protocol: 'tcp', address: 'node1:10250', random: 1n });
    await accept(agent, 1n);
    const { connectId } = await client.take('DIAL_RSP');
    client.data(connectId, 'last bytes');
    t.match(await agent.take('DATA'), { connectId: 1n, data: Buffer.from('last bytes') });
    client.send({ type: 'CLOSE_REQ', connectId });
    await client.take('CLOSE_RSP');
    await time.advance(1_000);
    t.same(await agent.take('CLOSE_REQ'), { type: 'CLOSE_REQ', connectId: 1n });
  });
}
