import { once } from 'node:events';
import { get, request } from 'node:http';
import { type RequestOptions, get as secureGet } from 'node:https';
import { connect, type Socket } from 'node:net';
import {
  type ByteReport,
  countBytes,
  eventually,
  makeOpensslPki,
  readSinkReport,
  readText,
  reserveRefusedPort,
  seededBuffer,
  seededChunks,
  seededReadable,
  seededSha256,
  sharedTestPki,
  sourceRequest,
  startBlackholeTarget,
  startEarlyEndTarget,
  startEchoTarget,
  startKubeletTarget,
  startLateAnswerTarget,
  startPodTarget,
  startRequestedSourceTarget,
  startResetTarget,
  startSinkTarget,
  startSourceTarget,
} from '@fairlead/testkit';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';

const mib = 1024 * 1024;

async function dial(test: Test, to: { host: string; port: number }): Promise<Socket> {
  const socket = connect({ host: to.host, port: to.port, allowHalfOpen: true });
  test.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

t.test('seeded data depends on the seed only', async (t) => {
  const whole = seededBuffer('a', 3 * mib + 5);
  t.equal(whole.length, 3 * mib + 5);
  const pieces = Buffer.concat([...seededChunks('a', whole.length, 1000)]);
  t.ok(pieces.equals(whole), 'the chunk size does not change the data');
  t.same(
    await countBytes(seededReadable('a', whole.length)),
    { bytes: whole.length, sha256: seededSha256('a', whole.length) },
    'the stream has the same digest',
  );
  t.notOk(whole.subarray(0, mib).equals(whole.subarray(mib, 2 * mib)), 'each MiB is different');
  t.notOk(
    seededBuffer('b', 64).equals(whole.subarray(0, 64)),
    'different seeds give different data',
  );
});

t.test('the echo target sends back what it receives', async (t) => {
  const target = await startEchoTarget({ host: '::1' });
  t.teardown(() => target.close());
  const socket = await dial(t, target);
  seededReadable('echo', mib).pipe(socket);
  t.equal((await countBytes(socket)).sha256, seededSha256('echo', mib));
  t.equal(target.connections, 1);
});

t.test('the source target sends its bytes', async (t) => {
  const target = await startSourceTarget({ totalBytes: 2 * mib + 1 });
  t.teardown(() => target.close());
  const socket = await dial(t, target);
  t.same(await countBytes(socket), { bytes: 2 * mib + 1, sha256: target.sha256 });
});

t.test('the requested source target sends the requested bytes', async (t) => {
  const target = await startRequestedSourceTarget();
  t.teardown(() => target.close());
  const socket = await dial(t, target);
  const line = sourceRequest(100_000, 'some seed');
  socket.write(line.slice(0, 3));
  socket.write(line.slice(3));
  t.same(await countBytes(socket), {
    bytes: 100_000,
    sha256: seededSha256('some seed', 100_000),
  });
  const wrong = await dial(t, target);
  wrong.write('no number\n');
  await t.rejects(countBytes(wrong), { code: 'ECONNRESET' });
});

t.test('the sink target reports what it received', async (t) => {
  const target = await startSinkTarget();
  t.teardown(() => target.close());
  const socket = await dial(t, target);
  seededReadable('sink', mib).pipe(socket);
  t.same(await readSinkReport(socket), { bytes: mib, sha256: seededSha256('sink', mib) });
  t.equal(target.bytes, mib);
});

t.test('the late answer target answers only after the FIN', async (t) => {
  const target = await startLateAnswerTarget({ answerBytes: mib });
  t.teardown(() => target.close());
  const socket = await dial(t, target);
  socket.write('question');
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const beside = await dial(t, echo);
  let early = 0;
  socket.on('data', (chunk: Buffer) => {
    early += chunk.length;
  });
  beside.write('x');
  await once(beside, 'data');
  t.equal(early, 0);
  socket.end();
  t.same(await countBytes(socket), { bytes: mib, sha256: target.sha256 });
});

t.test('the early end target ends first and still reads', async (t) => {
  let onReport: (report: ByteReport) => void = () => {};
  const reported = new Promise<ByteReport>((resolve) => {
    onReport = resolve;
  });
  const target = await startEarlyEndTarget({ greeting: 'bye', onReport });
  t.teardown(() => target.close());
  const socket = await dial(t, target);
  t.equal(await readText(socket), 'bye');
  seededReadable('late', mib).pipe(socket);
  t.same(await reported, { bytes: mib, sha256: seededSha256('late', mib) });
});

t.test('the reset target resets the connection', async (t) => {
  const atOnce = await startResetTarget();
  t.teardown(() => atOnce.close());
  // The reset can arrive before the connect event.
  await t.rejects(
    dial(t, atOnce).then((socket) => countBytes(socket)),
    { code: 'ECONNRESET' },
  );
  const later = await startResetTarget({ afterBytes: 4 });
  t.teardown(() => later.close());
  const socket = await dial(t, later);
  socket.write('four');
  await t.rejects(countBytes(socket), { code: 'ECONNRESET' });
});

for (const host of ['127.0.0.1', '::1']) {
  t.test(`a refused port on ${host} refuses every connection`, async (t) => {
    const target = await reserveRefusedPort({ host });
    t.teardown(() => target.close());
    for (let round = 0; round < 3; round++) {
      await t.rejects(dial(t, target), { code: 'ECONNREFUSED' });
    }
  });

  t.test(`a blackhole on ${host} does not answer`, async (t) => {
    const target = await startBlackholeTarget({ host });
    t.teardown(() => target.close());
    // A connection on loopback would succeed or fail in less than 1 ms.
    const socket = connect({ host, port: target.port });
    t.teardown(() => socket.destroy());
    const outcome = await Promise.race([
      once(socket, 'connect').then(() => 'connected'),
      new Promise((resolve) => {
        socket.setTimeout(300, () => resolve('silence'));
      }),
    ]);
    t.equal(outcome, 'silence');
    const refused = once(socket, 'close');
    socket.destroy();
    await refused;
    await target.close();
    await t.rejects(dial(t, target), { code: 'ECONNREFUSED' }, 'the port refuses after close()');
  });
}

t.test('a blackhole that cannot listen is an error', async (t) => {
  await t.rejects(
    startBlackholeTarget({ host: '192.0.2.1' }),
    /listen on 192\.0\.2\.1: listen EADDRNOTAVAIL/,
  );
});

t.test('the kubelet target serves clients with a certificate', async (t) => {
  const { kubelet, foreign } = await sharedTestPki();
  const target = await startKubeletTarget({
    tls: { ca: kubelet.ca, cert: kubelet.server.cert, key: kubelet.server.key },
  });
  t.teardown(() => target.close());
  const fetchPath = async (path: string, options: RequestOptions) => {
    const outgoing = secureGet({ ...target, ca: kubelet.ca, path, agent: false, ...options });
    const [response] = await once(outgoing, 'response');
    return { status: response.statusCode, text: await readText(response) };
  };
  const { cert, key } = kubelet.client;
  t.same(await fetchPath('/healthz', { cert, key }), { status: 200, text: 'ok' });
  t.equal(JSON.parse((await fetchPath('/pods', { cert, key })).text).kind, 'PodList');
  const stats = JSON.parse((await fetchPath('/stats', { cert, key })).text);
  t.match(stats, { requests: 3, lastClient: 'kubelet-client' });
  t.equal((await fetchPath('/nowhere', { cert, key })).status, 404);
  await t.rejects(fetchPath('/healthz', {}), 'no certificate');
  await t.rejects(fetchPath('/healthz', foreign.client), 'a foreign certificate');
  await t.rejects(fetchPath('/healthz', kubelet.expiredClient), 'an expired certificate');
  t.equal(target.stats.requests, 4, 'refused clients do not reach a route');
});

t.test('the pod target sends a log line by line', async (t) => {
  const time = controlTime(t);
  const target = await startPodTarget();
  t.teardown(() => target.close());
  const path = '/containerLogs/default/web-0/web?lines=4&intervalMs=20';
  const [response] = await once(get({ ...target, path, agent: false }), 'response');
  t.equal(response.headers['transfer-encoding'], 'chunked');
  const lines: string[] = [];
  response.on('data', (chunk: Buffer) => lines.push(String(chunk)));
  const ended = once(response, 'end');
  for (let count = 1; count <= 4; count++) {
    await eventually(`line ${count}`, () => lines.length >= count);
    await time.advance(count < 4 ? 19 : 0);
    t.equal(lines.length, count, 'one line in each interval');
    await time.advance(1);
  }
  await ended;
  for (const [index, line] of lines.entries()) {
    t.match(line, new RegExp(` line ${index + 1} of 4\n$`));
  }
});

t.test('the pod target upgrades to a raw echo', async (t) => {
  const target = await startPodTarget();
  t.teardown(() => target.close());
  const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1' };
  const outgoing = request({ ...target, method: 'POST', path: '/exec', headers });
  outgoing.end();
  const [response, socket, head] = await once(outgoing, 'upgrade');
  t.equal(response.statusCode, 101);
  t.equal(response.headers.upgrade, 'SPDY/3.1');
  t.equal(head.length, 0);
  socket.end('raw bytes');
  t.equal(await readText(socket), 'raw bytes');
  t.equal(target.stats.upgrades, 1);
});

t.test('the pod target echoes WebSocket messages', async (t) => {
  const target = await startPodTarget();
  t.teardown(() => target.close());
  const webSocket = new WebSocket(`ws://${target.host}:${target.port}/ws`);
  t.teardown(() => webSocket.terminate());
  await once(webSocket, 'open');
  webSocket.send('text');
  t.same(await once(webSocket, 'message'), [Buffer.from('text'), false]);
  webSocket.send(Buffer.from([0, 255]));
  t.same(await once(webSocket, 'message'), [Buffer.from([0, 255]), true]);
  const closed = once(webSocket, 'close');
  webSocket.close(1000);
  t.equal((await closed)[0], 1000);
});

t.test('certificates of openssl work like those of Fairlead', async (t) => {
  const [own, openssl] = await Promise.all([sharedTestPki(), sharedTestPki(makeOpensslPki)]);
  t.not(own.directory, openssl.directory);
  t.equal(await sharedTestPki(), own, 'the PKI is created once');
  for (const pki of [own, openssl]) {
    const { ca, server, client, expiredClient } = pki.kubelet;
    const target = await startKubeletTarget({ tls: { ca, cert: server.cert, key: server.key } });
    t.teardown(() => target.close());
    for (const host of ['127.0.0.1', 'localhost']) {
      const accepted = secureGet({
        ...target,
        host,
        ca,
        ...client,
        path: '/healthz',
        agent: false,
      });
      const [response] = await once(accepted, 'response');
      t.equal(await readText(response), 'ok');
    }
    const refused = secureGet({ ...target, ca, ...expiredClient, path: '/', agent: false });
    await t.rejects(once(refused, 'response'));
  }
});
