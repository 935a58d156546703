/** Half-close ends one direction only, and bytes that arrive before the answer to CONNECT are not lost. */
import { once } from 'node:events';
import {
  type ByteReport,
  connectHead,
  connectThrough,
  countBytes,
  Http2ConnectClient,
  openFrontEnd,
  readText,
  seededReadable,
  seededSha256,
  startEarlyEndTarget,
  startEchoTarget,
  startLateAnswerTarget,
} from '@fairlead/testkit';
import t from 'tap';
import { authority, clientKinds, openClient, readBytes } from './clients.ts';
import { connectAgent, startServer, transports } from './fixture.ts';

/** More than the largest window of a stream, 16 MiB, so a side that has ended must still grant credit. */
const bulkBytes = 64 * 1024 ** 2;

const server = await startServer(t);

for (const transport of transports) {
  t.test(`carries half-close through a ${transport} tunnel`, async (t) => {
    await connectAgent(t, server, { transport });
    const lateAnswer = await startLateAnswerTarget({ answerBytes: bulkBytes });
    t.teardown(() => lateAnswer.close());
    let onReport = (_: ByteReport) => {};
    const earlyEnd = await startEarlyEndTarget({
      greeting: 'no more from me',
      onReport: (report) => onReport(report),
    });
    t.teardown(() => earlyEnd.close());

    for (const kind of clientKinds) {
      await t.test(kind, async (t) => {
        const client = await openClient[kind](t, server);

        const request = await client.open(authority(lateAnswer));
        request.end('this is all');
        const answer = { bytes: bulkBytes, sha256: lateAnswer.sha256 };
        t.same(
          await countBytes(request),
          answer,
          'the target answers 64 MiB after the client has ended',
        );

        const reported = new Promise<ByteReport>((resolve) => {
          onReport = resolve;
        });
        const upload = await client.open(authority(earlyEnd));
        t.equal(await readText(upload), 'no more from me');
        t.ok(upload.writable, 'the client can still write');
        seededReadable('upload', bulkBytes).pipe(upload);
        const sent = { bytes: bulkBytes, sha256: seededSha256('upload', bulkBytes) };
        t.same(await reported, sent, 'the client sends 64 MiB after the target has ended');
      });
    }
  });
}

t.test('delivers bytes that arrive before the answer', async (t) => {
  await connectAgent(t, server);
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const target = authority(echo);

  for (const [name, via] of [['mTLS', server.tcp] as const, ['the UDS', server.uds] as const]) {
    await t.test(`HTTP/1.1 over ${name}: payload in one write with the head`, async (t) => {
      const payload = Buffer.alloc(40_000, 'early ');
      const { status, headers, socket } = await connectThrough({ via, target, payload });
      t.teardown(() => {
        socket.destroy();
      });
      t.equal(status, 200);
      t.notOk('content-length' in headers || 'transfer-encoding' in headers, 'no framing');
      t.ok((await readBytes(socket, payload.length)).equals(payload));
    });

    await t.test(`HTTP/1.1 over ${name}: payload and end in one write with the head`, async (t) => {
      const { socket } = await connectThrough({ via, target, payload: 'all of it', end: true });
      t.equal(await readText(socket), 'all of it');
      socket.destroy();
    });

    await t.test(`HTTP/1.1 over ${name}: the head one byte at a time`, async (t) => {
      const socket = await openFrontEnd(via);
      t.teardown(() => {
        socket.destroy();
      });
      for (const byte of connectHead(target)) {
        await new Promise((resolve) => socket.write(byte, resolve));
      }
      socket.write('after it');
      const answer = await readBytes(socket, 'HTTP/1.1 200 Connection established\r\n\r\n'.length);
      t.match(answer.toString(), /^HTTP\/1\.1 200 [^\r\n]*\r\n\r\n$/, 'the answer has no headers');
      t.equal((await readBytes(socket, 8)).toString(), 'after it');
    });

    await t.test(`HTTP/2 over ${name}: DATA right after HEADERS`, async (t) => {
      const client = await Http2ConnectClient.open(via);
      t.teardown(() => client.close());
      const stream = client.session.request(
        { ':method': 'CONNECT', ':authority': target },
        { endStream: false },
      );
      stream.end('early and all');
      const [headers] = await once(stream, 'response');
      t.equal(headers[':status'], 200);
      t.equal(await readText(stream), 'early and all');
    });
  }

  await t.test('sends no byte after the 200 until the target does', async (t) => {
    for (const via of [server.tcp, server.uds]) {
      const { earlyBytes, socket } = await connectThrough({ via, target });
      t.equal(earlyBytes, 0);
      // The first byte after the head is the echo.
      socket.write('hello');
      t.equal((await readBytes(socket, 5)).toString(), 'hello');
      socket.destroy();
    }
  });
});
