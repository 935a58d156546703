/** Every kind of client through every transport: bulk bytes, half-close in both directions, refused dials. */
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
  type ClientKind,
  carriesHalfClose,
  clientKinds,
  failureOf,
  open,
  openStreams,
  readExactly,
  startService,
  transports,
} from './service.ts';

/** Many frames, and still fast. */
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

/** gRPC carries Go's error text, CONNECT a code. */
const refusalBy = (kind: ClientKind) =>
  kind.startsWith('gRPC')
    ? { code: 'dial_failed', message: /connect: connection refused/ }
    : { code: 'target_refused' };

for (const transport of transports) {
  t.test(`carries streams through a ${transport} tunnel`, async (t) => {
    // Konnectivity's protocol has no half-close. The server closes a stream this long after its client's end.
    const { server } = await startService(t, transport, { halfCloseTimeout: 200 });
    for (const kind of clientKinds) {
      await t.test(kind, async (t) => {
        const download = await open(t, server, kind, source);
        download.write(sourceRequest(bulkBytes, 'down'));
        const down = { bytes: bulkBytes, sha256: seededSha256('down', bulkBytes) };
        t.same(await countBytes(download), down, 'a download arrives unchanged');

        const echoed = await open(t, server, kind, echo);
        const sent = seededBuffer('echo', 100_000);
        echoed.write(sent);
        t.ok((await readExactly(echoed, sent.length)).equals(sent), 'an echo arrives unchanged');

        const refusal = open(t, server, kind, refused).then(failureOf, (error) => error);
        t.match(
          await refusal,
          refusalBy(kind),
          "a refused dial is reported in the client's protocol",
        );

        if (!carriesHalfClose(kind, transport)) return;
        const question = await open(t, server, kind, lateAnswer);
        question.end('this is all');
        const answer = { bytes: bulkBytes, sha256: lateAnswer.sha256 };
        t.same(await countBytes(question), answer, 'the target answers after the client has ended');

        const reported = new Promise<ByteReport>((resolve) => {
          onReport = resolve;
        });
        const upload = await open(t, server, kind, earlyEnd);
        t.equal(await readText(upload), 'no more from me');
        seededReadable('up', bulkBytes).pipe(upload);
        const up = { bytes: bulkBytes, sha256: seededSha256('up', bulkBytes) };
        t.same(await reported, up, 'the client sends after the target has ended');
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
