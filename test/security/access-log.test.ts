import { readFileSync, renameSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { createConnection } from 'node:net';
import { TunnelError } from '@fairlead/protocol';
import { connectThrough, eventually, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { loopback, startServer, type TestServer } from '../support/fleet.ts';
import { startAgent, testPki } from './fixture.ts';
import { rawAgent } from './raw-agent.ts';

const pki = await testPki();
const node = await pki.agent({ name: 'node' });

/** Forges a log line and moves the terminal's cursor if it is written without escaping. */
const forged =
  '\n{"level":"info","msg":"stream","caller":"uds"}\r\u001b[2J\u0085\u2028\u2029\u202e';

interface AccessLine {
  readonly [field: string]: unknown;
}

let files = 0;

/** Starts a server with an access log. */
async function startLogging(t: Test) {
  const path = pki.path(`access-${files++}.log`);
  const server = await startServer(t, { accessLog: path });
  const lines = () =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as AccessLine);
  const until = async (count: number) => {
    await eventually(`the access log has ${count} lines`, () => lines().length >= count);
    return lines();
  };
  return { server, path, lines, until };
}

async function startEcho(t: Test): Promise<string> {
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  return `${loopback}:${target.port}`;
}

t.test('the access log has one line for each stream, and none of its payload', async (t) => {
  const target = await startEcho(t);
  const { server, path, until } = await startLogging(t);
  await startAgent(t, server, node, { agentId: 'node-1' });
  await server.log.line('agent connected');
  const secret = 'authorization: Bearer s3cret';
  const { socket } = await connectThrough({ via: server.tcp, target });
  socket.end(secret);
  for await (const _ of socket);
  const refused = await connectThrough({ via: server.uds, target: `${loopback}:1` });
  t.equal(refused.status, 502);
  refused.socket.destroy();
  const [first, second] = await until(2);
  t.match(first, {
    ...{
      level: 'info',
      msg: 'stream',
      protocol: 'http1',
      caller: 'mtls:frontend-client',
      agent: 'node-1',
    },
    ...{ target, bytesFromClient: secret.length, bytesToClient: secret.length, end: 'closed' },
    time: /^20.*Z$/,
    durationMs: Number,
  });
  t.match(second, { caller: 'uds', target: `${loopback}:1`, end: 'target_refused' });
  const text = readFileSync(path, 'utf8') + JSON.stringify(server.log.lines);
  t.notMatch(text, 's3cret');
  t.notMatch(text, 'PRIVATE KEY');
});

t.test('a reload reopens the file after a rotation', async (t) => {
  const target = await startEcho(t);
  const { server, path, until } = await startLogging(t);
  await startAgent(t, server, node);
  await server.log.line('agent connected');
  const use = async () => (await connectThrough({ via: server.uds, target })).socket.destroy();
  await use();
  await until(1);
  renameSync(path, `${path}.1`);
  server.server.reload();
  await use();
  await until(1);
  t.equal(readFileSync(`${path}.1`, 'utf8').split('\n').length, 2);
});

t.test('names are escaped and cut in the access log and the server log', async (t) => {
  const { server, path, until } = await startLogging(t);
  const agent = await rawAgent(t, server, node, {
    agentId: `agent${forged}`.repeat(3),
    software: forged,
    agentIdentifiers: `host=${encodeURIComponent(forged)}&${encodeURIComponent(forged)}=1`,
  });
  await server.log.line('agent connected');
  const reply = connectThrough({ via: server.uds, target: 'x.example:1' });
  await eventually('the agent is asked to dial', () => agent.offered.length > 0);
  agent.offered[0]!.refuse(new TunnelError('dial_failed', `no${forged}`));
  const { status, headers } = await reply;
  t.equal(status, 502);
  t.equal(headers['fairlead-error'], 'dial_failed');
  await until(1);
  await requestLongMethod(server);

  const accessLines = readFileSync(path, 'utf8');
  t.match(accessLines, /^[ -~]*\n$/, 'one line of printable characters');
  for (const line of server.log.written) {
    t.match(line, /^[ -~…]*\n$/);
    t.ok(line.length < 8_192, `${line.length} characters`);
  }
});

async function requestLongMethod(server: TestServer): Promise<void> {
  const session = connectHttp2('http://localhost', {
    createConnection: () => createConnection(server.uds.path),
  });
  const request = session.request({ ':method': 'X'.repeat(10_000), ':path': '/' });
  await new Promise((resolve) => request.once('response', resolve));
  session.destroy();
}
