import { once } from 'node:events';
import { copyFileSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { createAuthority } from '@fairlead/pki';
import { type ConnectReply, connectThrough, eventually, startEchoTarget } from '@fairlead/testkit';
import t from 'tap';
import { loopback, startServer, type TestServer } from '../support/fleet.ts';
import { type Credentials, startAgent, testPki, tlsOf } from './fixture.ts';
import { untilClosed } from './until-closed.ts';

const pki = await testPki();

/** The common name of the certificate that a port presents. */
async function presentedName(port: number, client: Credentials): Promise<string> {
  const socket = connectTls({
    host: loopback,
    port,
    cert: client.certPem,
    key: client.keyPem,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  });
  await once(socket, 'secureConnect');
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return String(CN);
}

/** A stream that echoes messages one after another until `stop()`, and counts them. */
interface BusyStream {
  rounds(): number;
  untilRounds(count: number): Promise<void>;
  stop(): Promise<void>;
}

function keepBusy(socket: Socket): BusyStream {
  let rounds = 0;
  let isStopping = false;
  let failure: Error | undefined;
  const message = Buffer.alloc(1000, 'x');
  const work = (async () => {
    while (!isStopping) {
      socket.write(message);
      for (let got = 0; got < message.length; ) {
        const [chunk] = (await once(socket, 'data')) as [Buffer];
        got += chunk.length;
      }
      rounds++;
    }
  })().catch((error: Error) => {
    failure = error;
  });
  return {
    rounds: () => rounds,
    untilRounds: async (count) => {
      await eventually(`${count} rounds of echoes, or a failure`, () => failure ?? rounds >= count);
    },
    stop: async () => {
      isStopping = true;
      await work;
      if (failure) throw failure;
      socket.destroy();
    },
  };
}

async function openStreams(server: TestServer, target: string, count: number) {
  const replies: ConnectReply[] = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      connectThrough({ via: index % 2 === 0 ? server.uds : server.tcp, target }),
    ),
  );
  return replies.map(({ socket }) => keepBusy(socket));
}

/** Files as Kubernetes mounts a Secret: symbolic links through `..data`, which an update replaces. */
function mountSecret(name: string): { path(file: string): string; swap(files: object): void } {
  const directory = pki.path(name);
  let version = 0;
  mkdirSync(directory);
  return {
    path: (file) => join(directory, file),
    swap: (files) => {
      version++;
      mkdirSync(join(directory, `..v${version}`));
      for (const [file, source] of Object.entries(files)) {
        copyFileSync(source, join(directory, `..v${version}`, file));
        if (version === 1) symlinkSync(join('..data', file), join(directory, file));
      }
      symlinkSync(`..v${version}`, join(directory, '..data_tmp'));
      renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
    },
  };
}

t.test('streams and tunnels survive new certificates on both sides', async (t) => {
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const [oldAgentPort, newAgentPort, oldFrontEnd, newFrontEnd, client] = await Promise.all([
    pki.server(pki.agentCa, 'agent-port-old'),
    pki.server(pki.agentCa, 'agent-port-new'),
    pki.server(pki.frontEndCa, 'front-end-old'),
    pki.server(pki.frontEndCa, 'front-end-new'),
    pki.client({ name: 'probe' }),
  ]);
  const probe = await pki.agent({ name: 'probe-agent' });
  const secret = mountSecret('server-secret');
  const files = (agentPort: Credentials, frontEnd: Credentials) => ({
    'agent.crt': agentPort.cert,
    'agent.key': agentPort.key,
    'front.crt': frontEnd.cert,
    'front.key': frontEnd.key,
  });
  secret.swap(files(oldAgentPort, oldFrontEnd));
  const server = await startServer(t, {
    clusterCert: secret.path('agent.crt'),
    clusterKey: secret.path('agent.key'),
    serverCert: secret.path('front.crt'),
    serverKey: secret.path('front.key'),
    reloadInterval: 2 ** 30,
  });
  const [oldNode, newNode] = await Promise.all([
    pki.agent({ name: 'node-old' }),
    pki.agent({ name: 'node-new' }),
  ]);
  const agentSecret = mountSecret('agent-secret');
  agentSecret.swap({ 'tls.crt': oldNode.cert, 'tls.key': oldNode.key });
  const { log } = await startAgent(
    t,
    server,
    { ...oldNode, cert: agentSecret.path('tls.crt'), key: agentSecret.path('tls.key') },
    { reloadInterval: 2 ** 30 },
  );
  await server.log.line('agent connected');
  const { agentPort } = server;
  t.equal(await presentedName(agentPort, probe), 'agent-port-old');

  const streams = await openStreams(server, `${loopback}:${target.port}`, 8);
  const opening = connectThrough({ via: server.tcp, target: `${loopback}:${target.port}` });
  secret.swap(files(newAgentPort, newFrontEnd));
  agentSecret.swap({ 'tls.crt': newNode.cert, 'tls.key': newNode.key });
  await Promise.all([
    server.log.line('reloaded', (line) => line.files === 'agent-port certificates'),
    server.log.line('reloaded', (line) => line.files === 'front-end certificates'),
    log.line('reloaded', (line) => line.files === 'certificates'),
  ]);
  t.equal(await presentedName(agentPort, probe), 'agent-port-new');
  t.equal(await presentedName(server.tcp.port, client), 'front-end-new');
  const during = await opening;
  t.equal(during.status, 200, 'the stream that was opening');
  during.socket.destroy();

  const before = streams.map(({ rounds }) => rounds());
  const second = await openStreams(server, `${loopback}:${target.port}`, 2);
  for (const stream of second) await stream.untilRounds(5);
  for (const [index, stream] of streams.entries()) await stream.untilRounds(before[index]! + 5);
  await Promise.all([...streams, ...second].map((stream) => stream.stop()));
  t.ok(
    streams.every(({ rounds }, index) => rounds() > before[index]!),
    'all streams continue',
  );
  t.same(server.log.of('agent disconnected'), [], 'the tunnel continues');
  t.equal(log.of('disconnected').length, 0);
});

t.test('the next connection of an agent uses its new certificate', async (t) => {
  const agentDenylist = await pki.file('denied-old-certificate', '');
  const server = await startServer(t, { agentDenylist, reloadInterval: 2 ** 30 });
  const [before, after] = await Promise.all([
    pki.agent({ name: 'renew' }),
    pki.agent({ name: 'renewed' }),
  ]);
  const cert = pki.path('renewing.crt');
  const key = pki.path('renewing.key');
  copyFileSync(before.cert, cert);
  copyFileSync(before.key, key);
  const renewing = { ...before, cert, key };
  const { agent, log } = await startAgent(t, server, renewing, { reloadInterval: 2 ** 30 });
  await server.log.line('agent connected', ({ commonName }) => commonName === 'renew');
  copyFileSync(after.cert, cert);
  agent.reload();
  const warning = await log.line('new files are invalid, the previous ones stay in use');
  t.match(warning.detail, /^--agent-key: .* does not match the certificate in --agent-cert/);
  copyFileSync(after.key, key);
  agent.reload();
  t.equal(log.of('reloaded').length, 1);
  writeFileSync(agentDenylist, 'cn:renew\n');
  server.server.reload();
  await server.log.line('agent connected', ({ commonName }) => commonName === 'renewed');
});

t.test('after a CA is removed, new handshakes fail and tunnels continue', async (t) => {
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const caFile = await pki.file('changing-ca.crt', pki.agentCa.certPem);
  const frontEndCa = await pki.file('changing-frontend-ca.crt', pki.frontEndCa.certPem);
  const server = await startServer(t, {
    clusterCaCert: caFile,
    serverCaCert: frontEndCa,
    reloadInterval: 2 ** 30,
  });
  const node = await pki.agent({ name: 'node-of-old-ca' });
  await startAgent(t, server, node);
  await server.log.line('agent connected');
  const [stream] = await openStreams(server, `${loopback}:${target.port}`, 1);

  const client = await pki.client({ name: 'resuming-client' });
  const session = await sessionOf(server.tcp.port, client);
  t.ok(await isAccepted(server.tcp.port, client, session), 'a trusted client resumes its session');

  const other = await createAuthority({ name: 'other CA' });
  writeFileSync(caFile, other.certPem);
  writeFileSync(frontEndCa, other.certPem);
  server.server.reload();
  t.equal(server.log.of('reloaded').length, 2);
  t.notOk(await isAccepted(server.tcp.port, client), 'a new handshake fails');
  t.notOk(await isAccepted(server.tcp.port, client, session), 'a resumed session fails');

  await stream!.untilRounds(stream!.rounds() + 5);
  await stream!.stop();
  t.same(server.log.of('agent disconnected'), []);
  await startAgent(t, server, node, { agentId: 'late' });
  const refused = await server.log.line('agent refused');
  t.match(refused.reason, /a CA that is not trusted signed it/);
});

/** A TLS session that the client can resume. */
async function sessionOf(port: number, client: Credentials): Promise<Buffer> {
  const { ca, cert, key } = tlsOf(pki, client);
  const socket = connectTls({
    host: loopback,
    port,
    servername: 'localhost',
    ca,
    cert,
    key,
  } as object);
  const [session] = (await once(socket, 'session')) as [Buffer];
  socket.destroy();
  return session;
}

/** Whether the front end answers a request of this client. */
async function isAccepted(port: number, client: Credentials, session?: Buffer): Promise<boolean> {
  const { ca, cert, key } = tlsOf(pki, client);
  const options = { host: loopback, port, servername: 'localhost', ca, cert, key, session };
  const socket = connectTls(options as object);
  socket.write('CONNECT nowhere.invalid:1 HTTP/1.1\r\nHost: x\r\n\r\n');
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  await untilClosed(socket);
  return /^HTTP\/1\.1 5/.test(text);
}
