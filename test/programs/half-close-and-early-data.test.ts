/**
 * An end that ends both directions, and bytes that come before the answer: what a proxy that knows no
 * half-close, or starts reading too late, loses.
 */
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
import { authority, readBytes, wayNames, waysIn } from './clients.ts';
import { joinAgent, startServer, transports } from './fixture.ts';

/** More than the largest window of a stream, 16 MiB: a side that has ended must still grant more. */
const bulkBytes = 64 * 1024 ** 2;

const server = await startServer(t);

for (const transport of transports) {
  t.test(`half-close through a ${transport} tunnel`, async (t) => {
    await joinAgent(t, server, { transport });
    const lateAnswer = await startLateAnswerTarget({ answerBytes: bulkBytes });
    t.teardown(() => lateAnswer.close());
    let onReport = (_: ByteReport) => {};
    const earlyEnd = await startEarlyEndTarget({
      greeting: 'no more from me',
      onReport: (report) => onReport(report),
    });
    t.teardown(() => earlyEnd.close());

    for (const way of wayNames) {
      await t.test(way, async (t) => {
        const client = await waysIn[way](t, server);

        const asking = await client.open(authority(lateAnswer));
        asking.end('this is all');
        const answer = { bytes: bulkBytes, sha256: lateAnswer.sha256 };
        t.same(await countBytes(asking), answer, 'the client ends, the target answers 24 MiB');

        const reported = new Promise<ByteReport>((resolve) => {
          onReport = resolve;
        });
        const telling = await client.open(authority(earlyEnd));
        t.equal(await readText(telling), 'no more from me');
        t.ok(telling.writable, 'the client may go on writing');
        seededReadable('upload', bulkBytes).pipe(telling);
        const upload = { bytes: bulkBytes, sha256: seededSha256('upload', bulkBytes) };
        t.same(await reported, upload, 'the target ends, the client sends 24 MiB');
      });
    }
  });
}

t.test('bytes that come before the answer', async (t) => {
  await joinAgent(t, server);
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const target = authority(echo);

  for (const [name, via] of [['mTLS', server.tcp] as const, ['the UDS', server.uds] as const]) {
    await t.test(`HTTP/1.1 over ${name}: in one packet with the head`, async (t) => {
      const payload = Buffer.alloc(40_000, 'early ');
      const { status, headers, socket } = await connectThrough({ via, target, payload });
      t.teardown(() => {
        socket.destroy();
      });
      t.equal(status, 200);
      t.notOk('content-length' in headers || 'transfer-encoding' in headers, 'no framing');
      t.ok((await readBytes(socket, payload.length)).equals(payload));
    });

    await t.test(`HTTP/1.1 over ${name}: the end too`, async (t) => {
      const { socket } = await connectThrough({ via, target, payload: 'all of it', end: true });
      t.equal(await readText(socket), 'all of it');
      socket.destroy();
    });

    await t.test(`HTTP/1.1 over ${name}: the head byte by byte`, async (t) => {
      const socket = await openFrontEnd(via);
      t.teardown(() => {
        socket.destroy();
      });
      for (const byte of connectHead(target)) {
        await new Promise((resolve) => socket.write(byte, resolve));
      }
      socket.write('behind it');
      const answer = await readBytes(socket, 'HTTP/1.1 200 Connection established\r\n\r\n'.length);
      t.match(answer.toString(), /^HTTP\/1\.1 200 [^\r\n]*\r\n\r\n$/, 'a bare head');
      t.equal((await readBytes(socket, 9)).toString(), 'behind it');
    });

    await t.test(`HTTP/2 over ${name}: DATA behind HEADERS`, async (t) => {
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

  await t.test('a target that says nothing: not a byte behind the 200', async (t) => {
    for (const via of [server.tcp, server.uds]) {
      const { earlyBytes, socket } = await connectThrough({ via, target });
      t.equal(earlyBytes, 0);
      // What comes first after the head is the answer to what was asked.
      socket.write('asked');
      t.equal((await readBytes(socket, 5)).toString(), 'asked');
      socket.destroy();
    }
  });
});
