/** Every way in times every transport: all bytes, both half-closes, refusals. */
import {
  type ByteReport,
  countBytes,
  eventually,
  readText,
  reserveRefusedPort,
  seededBuffer,
  seededReadable,
  seededSha256,
  sourceRequest,
  startEarlyEndTarget,
  startEchoTarget,
  startLateAnswerTarget,
  startRequestedSourceTarget,
} from '@fairlead/testkit';
import t from 'tap';
import {
  carriesHalfClose,
  failureOf,
  open,
  openStreams,
  readExactly,
  startService,
  transports,
  type WayIn,
  wayNames,
} from './service.ts';

/** Many windows' worth of frames, and still quick. */
const bulkBytes = 4 * 1024 ** 2;

const source = await startRequestedSourceTarget();
const echo = await startEchoTarget();
const refused = await reserveRefusedPort();
const lateAnswer = await startLateAnswerTarget({ answerBytes: bulkBytes });
let onReport = (_report: ByteReport) => {};
const earlyEnd = await startEarlyEndTarget({
  greeting: 'no more from me',
  onReport: (report) => onReport(report),
});
t.teardown(async () => {
  for (const target of [source, echo, refused, lateAnswer, earlyEnd]) await target.close();
});

/** gRPC carries a sentence, in the words of Go, where CONNECT has a code. */
const refusalBy = (way: WayIn) =>
  way.startsWith('gRPC')
    ? { code: 'dial_failed', message: /connect: connection refused/ }
    : { code: 'target_refused' };

for (const transport of transports) {
  t.test(`through a ${transport} tunnel`, async (t) => {
    // Konnectivity's wire has no half-close: a stream that its client has ended stays so long.
    const { server } = await startService(t, transport, { halfCloseTimeout: 200 });
    for (const way of wayNames) {
      await t.test(way, async (t) => {
        const download = await open(t, server, way, source);
        download.write(sourceRequest(bulkBytes, 'down'));
        const down = { bytes: bulkBytes, sha256: seededSha256('down', bulkBytes) };
        t.same(await countBytes(download), down, 'a download arrives byte for byte');

        const echoed = await open(t, server, way, echo);
        const sent = seededBuffer('echo', 100_000);
        echoed.write(sent);
        t.ok(
          (await readExactly(echoed, sent.length)).equals(sent),
          'and so does what goes both ways',
        );

        const refusal = open(t, server, way, refused).then(failureOf, (error) => error);
        t.match(
          await refusal,
          refusalBy(way),
          'a refusal of the target is told as the protocol can',
        );

        if (!carriesHalfClose(way, transport)) return;
        const asking = await open(t, server, way, lateAnswer);
        asking.end('this is all');
        const answer = { bytes: bulkBytes, sha256: lateAnswer.sha256 };
        t.same(await countBytes(asking), answer, 'the client ends, and the target still answers');

        const reported = new Promise<ByteReport>((resolve) => {
          onReport = resolve;
        });
        const telling = await open(t, server, way, earlyEnd);
        t.equal(await readText(telling), 'no more from me');
        seededReadable('up', bulkBytes).pipe(telling);
        const up = { bytes: bulkBytes, sha256: seededSha256('up', bulkBytes) };
        t.same(await reported, up, 'the target ends, and the client still sends');
      });
    }
    const last = await open(t, server, 'HTTP/1.1 over the UDS', echo);
    last.write('still here');
    await readExactly(last, 10);
    await eventually('only one stream is left', async () => (await openStreams(server)) === 1);
    last.destroy();
    await eventually('no stream is left', async () => (await openStreams(server)) === 0);
  });
}
