import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAuthority, issueCertificate } from '@fairlead/pki';
import { startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { loopback, startAgent, startServer, type TestServer } from '../support/fleet.ts';
import { openStream } from './requests.ts';

const address = ({ agentPort }: TestServer) => `${loopback}:${agentPort}`;

/** A volume as Kubernetes mounts it: the file is behind symbolic links, and an update swaps one link. */
class Volume {
  readonly path: string;
  readonly #directory: string;
  #version = 0;

  constructor(t: Test, content: string) {
    this.#directory = t.testdir({});
    this.path = join(this.#directory, 'peers');
    this.write(content);
    symlinkSync('..data/peers', this.path);
  }

  write(content: string): void {
    this.#version++;
    const version = `..version-${this.#version}`;
    mkdirSync(join(this.#directory, version));
    writeFileSync(join(this.#directory, version, 'peers'), content);
    symlinkSync(version, join(this.#directory, '..new'));
    renameSync(join(this.#directory, '..new'), join(this.#directory, '..data'));
  }
}

t.test('agents follow the peers file and its changes', async (t) => {
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const volume = new Volume(t, '[]');
  const a = await startServer(t, { serverId: 'a', peersFile: volume.path });
  const [b, c] = [await startServer(t, { serverId: 'b' }), await startServer(t, { serverId: 'c' })];
  const { log } = await startAgent(t, a.agentPort, { agentId: 'x' });
  await log.line('connected');

  volume.write(`- ${address(a)}\n- ${address(b)}\n`);
  await b.log.line('agent connected');
  t.equal(log.of('peer added').length, 1, 'the configured address is not added as a peer');
  const stream = await openStream(b, target);
  t.equal(stream.status, 200);

  volume.write(JSON.stringify([address(a), address(c)]));
  await c.log.line('agent connected');
  await b.log.line('agent drains');
  stream.socket.end('goodbye');
  const chunks = await stream.socket.toArray();
  t.equal(
    Buffer.concat(chunks).toString(),
    'goodbye',
    'an open stream through a removed peer completes',
  );
  await b.log.line('agent disconnected');
  t.equal(b.log.of('agent connected').length, 1, 'the removed peer is not dialed again');

  const refused = 'new files are invalid, the previous ones stay in use';
  volume.write('- not an address');
  t.match(await a.log.line(refused), {
    files: 'peers',
    detail: `--peers-file: ${volume.path}:1: 0: is not HOST:PORT (IPv6 as "[ADDRESS]:PORT", in quotes)`,
  });
  volume.write('"unclosed');
  await a.log.lineAfter(1, refused);
  t.strictSame([a.agentIds(), c.agentIds()], [['x'], ['x']]);
});

t.test('an agent dials the advertised address of its server too', async (t) => {
  const [a, b] = [await startServer(t, { serverId: 'a' }), await startServer(t, { serverId: 'b' })];
  const server = await startServer(t, {
    serverId: 'c',
    advertiseAgentAddress: { host: loopback, port: b.agentPort },
  });
  await startAgent(t, server.agentPort, { agentId: 'x' });
  await b.log.line('agent connected');
  t.strictSame([server.agentIds(), b.agentIds(), a.agentIds()], [['x'], ['x'], []]);
});

t.test('an agent verifies a peer against the configured server name', async (t) => {
  const authority = await createAuthority({ name: 'servers' });
  const agents = await createAuthority({ name: 'agents' });
  const certificate = async (name: string) =>
    issueCertificate(authority, { kind: 'server', name, hosts: [name] });
  const [good, bad, own] = [
    await certificate('servers.test'),
    await certificate('other.test'),
    await issueCertificate(agents, { kind: 'client', name: 'x' }),
  ];
  const directory = t.testdir({
    'ca.crt': authority.certPem,
    'agents.crt': agents.certPem,
    'good.crt': good.certPem,
    'good.key': good.keyPem,
    'bad.crt': bad.certPem,
    'bad.key': bad.keyPem,
    'own.crt': own.certPem,
    'own.key': own.keyPem,
  });
  const file = (name: string) => join(directory, name);
  const tls = (name: string) => ({
    clusterCert: file(`${name}.crt`),
    clusterKey: file(`${name}.key`),
    clusterCaCert: file('agents.crt'),
  });
  const [peer, impostor] = [
    await startServer(t, { serverId: 'peer', ...tls('good') }),
    await startServer(t, { serverId: 'impostor', ...tls('bad') }),
  ];
  writeFileSync(file('peers'), `- ${address(peer)}\n- ${address(impostor)}\n`);
  const server = await startServer(t, { serverId: 'a', ...tls('good'), peersFile: file('peers') });
  const { log } = await startAgent(
    t,
    server.agentPort,
    {
      agentId: 'x',
      proxyServerHost: ['servers.test'],
      caCert: file('ca.crt'),
      agentCert: file('own.crt'),
      agentKey: file('own.key'),
    },
    async () => [{ address: loopback, family: 4 }],
  );
  await peer.log.line('agent connected');
  t.match(await log.line('cannot connect'), {
    server: address(impostor),
    reason: 'server_certificate',
  });
  t.strictSame(impostor.agentIds(), []);
});
