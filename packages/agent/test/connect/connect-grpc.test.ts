import { writeFile } from 'node:fs/promises';
import { createSecureServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { join } from 'node:path';
import {
  ConnectError,
  connectGrpc,
  TransportSelector,
  transportChoices,
} from '@fairlead/agent/internal';
import { CONNECT_METHOD, GrpcError, trailersOnly } from '@fairlead/konnectivity';
import { makeTemporaryDirectory } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { agentTls, serverTls, timeoutMs } from './connect-fixtures.ts';
import { listenForTest } from './tunnel-servers.ts';

type Answer = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

const greet: Answer = (stream) =>
  stream.respond({
    ':status': 200,
    'content-type': 'application/grpc',
    serverid: 'server-1',
    servercount: '3',
  });

/** Starts a server with HTTP/2 only, like Konnectivity's. */
async function startServer(t: Test, answer: Answer = greet) {
  const calls: IncomingHttpHeaders[] = [];
  const server = createSecureServer({ ...serverTls, ALPNProtocols: ['h2'] });
  server.on('sessionError', () => {});
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    calls.push(headers);
    if (headers['content-type'] === 'application/grpc') answer(stream, headers);
    else stream.respond({ ':status': 415 }, { endStream: true });
  });
  const { port, allClosed } = await listenForTest(t, server);
  return { endpoint: { host: '127.0.0.1', port }, calls, allClosed };
}

const grpcIdentity = { agentId: 'node-1', agentIdentifiers: 'host=node1&ipv4=1.2.3.4' };

t.test(
  'the call has the agent ID and identifiers, and the answer the server ID and count',
  async (t) => {
    const { endpoint, calls, allClosed } = await startServer(t);
    const connection = await connectGrpc(endpoint, agentTls, { timeoutMs, grpcIdentity });
    t.match(connection, { kind: 'grpc', serverId: 'server-1', serverCount: 3 });
    t.match(calls[0], {
      ':path': CONNECT_METHOD,
      te: 'trailers',
      agentid: 'node-1',
      agentidentifiers: 'host=node1&ipv4=1.2.3.4',
      authorization: undefined,
    });
    connection.destroy();
    await allClosed();
  },
);

t.test('the token is read for each connection', async (t) => {
  const directory = await makeTemporaryDirectory();
  t.teardown(() => directory.close());
  const tokenPath = join(directory.path, 'token');
  const { endpoint, calls } = await startServer(t);
  const connect = () => connectGrpc(endpoint, agentTls, { timeoutMs, grpcIdentity, tokenPath });
  await t.rejects(connect(), { reason: 'own_token', message: /--service-account-token-path/ });
  t.same(calls, [], 'no call is sent without a token');
  for (const token of ['first', 'second']) {
    await writeFile(tokenPath, `${token}\n`);
    (await connect()).destroy();
    t.equal(calls.at(-1)?.authorization, `Bearer ${token}`);
  }
});

t.test('refusals are ConnectErrors with their reason', async (t) => {
  const refusals: [string, Answer, Partial<ConnectError>, RegExp][] = [
    [
      'a gRPC status about the identity',
      (stream) => stream.respond(trailersOnly(new GrpcError('UNAUTHENTICATED', 'no token'))),
      { reason: 'identity_refused' },
      /UNAUTHENTICATED: no token/,
    ],
    [
      'another gRPC status',
      (stream) => stream.respond(trailersOnly(new GrpcError('UNIMPLEMENTED', 'unknown service'))),
      { reason: 'http_refused' },
      /unknown service/,
    ],
    [
      'an HTTP status',
      (stream) => {
        stream.respond({ ':status': 503 });
        stream.end('try later');
      },
      { reason: 'http_refused' },
      /503: try later/,
    ],
    [
      'no serverID',
      (stream) => stream.respond({ ':status': 200, servercount: '1' }),
      { reason: 'protocol_mismatch' },
      /serverID/,
    ],
    [
      'no server count',
      (stream) => stream.respond({ ':status': 200, serverid: 'a', servercount: 'many' }),
      { reason: 'protocol_mismatch' },
      /serverCount/,
    ],
    ['a reset', (stream) => stream.close(2), { reason: 'reset' }, /./],
  ];
  for (const [name, answer, expected, text] of refusals) {
    const { endpoint, allClosed } = await startServer(t, answer);
    const error = await connectGrpc(endpoint, agentTls, { timeoutMs, grpcIdentity }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    t.ok(error instanceof ConnectError, name);
    t.match(error, expected, name);
    t.match((error as Error).message, text, name);
    await allClosed();
  }
});

t.test('auto tries gRPC last, and tries it first if it worked before', async (t) => {
  const { endpoint, calls } = await startServer(t);
  const selector = new TransportSelector(transportChoices('auto'));
  const options = { timeoutMs, grpcIdentity };
  (await selector.connect(endpoint, agentTls, options)).destroy();
  t.same(
    calls.map((headers) => headers['content-type']),
    ['application/fairlead', 'application/grpc'],
  );
  const again = await selector.connect(endpoint, agentTls, options);
  t.equal(again.kind, 'grpc');
  t.equal(calls.length, 3);
  again.destroy();
});
