import { InFlightLimit } from '@fairlead/protocol/internal';
import t from 'tap';

const PING_BYTES = 16;

/** Sends bytes and then a mark. */
function sendMarked(limit: InFlightLimit, bytes: number, nowMs: number, hadLittle = false): number {
  limit.onSent(bytes + PING_BYTES, nowMs);
  return limit.mark(nowMs, hadLittle);
}

interface Path {
  bytesPerMs: number;
  rttMs: number;
  /** Every `everyMs` the peer is busy for `forMs` and answers after that. */
  busy?: { everyMs: number; forMs: number };
}

/** A sender that always has bytes to send, over a calculated path without real I/O. */
class GreedySender {
  readonly limit = new InFlightLimit();
  readonly path: Path;
  nowMs = 1_000;
  deliveredBytes = 0;
  worstQueueMs = 0;
  #linkFreeAtMs = 0;
  #sentBytes = 0;
  readonly #pongs: { atMs: number; mark: number; busyMs: number; sentBytes: number }[] = [];

  constructor(path: Path) {
    this.path = path;
  }

  /** Runs for `ms`. @returns the share of the link that was used */
  run(ms: number): number {
    const endMs = this.nowMs + ms;
    const before = this.deliveredBytes;
    this.worstQueueMs = 0;
    for (;;) {
      this.#send();
      const pong = this.#pongs[0];
      if (!pong || pong.atMs > endMs) break;
      this.#pongs.shift();
      this.nowMs = pong.atMs;
      this.deliveredBytes = pong.sentBytes;
      this.limit.onPong(pong.mark, this.nowMs, pong.busyMs, 0);
    }
    this.nowMs = endMs;
    return (this.deliveredBytes - before) / ms / this.path.bytesPerMs;
  }

  #send(): void {
    const { limit } = this;
    if (limit.wantsProbe) this.#put(0);
    while (limit.roomBytes > 0) this.#put(Math.min(limit.markEveryBytes, 262_144));
    if (limit.isBlind) this.#put(0);
  }

  #put(bytes: number): void {
    const { bytesPerMs, rttMs, busy } = this.path;
    const size = bytes + PING_BYTES;
    this.#linkFreeAtMs = Math.max(this.#linkFreeAtMs, this.nowMs) + size / bytesPerMs;
    this.worstQueueMs = Math.max(this.worstQueueMs, this.#linkFreeAtMs - this.nowMs);
    this.#sentBytes += size;
    const mark = sendMarked(this.limit, bytes, this.nowMs);
    let arrivesAtMs = this.#linkFreeAtMs + rttMs / 2;
    let busyMs = 0.1;
    if (busy) {
      const intoMs = arrivesAtMs % busy.everyMs;
      if (intoMs < busy.forMs) {
        arrivesAtMs += busy.forMs - intoMs;
        busyMs = busy.forMs;
      }
    }
    this.#pongs.push({ atMs: arrivesAtMs + rttMs / 2, mark, busyMs, sentBytes: this.#sentBytes });
  }
}

t.test('64 KiB can be in flight before the first measurement', async (t) => {
  const limit = new InFlightLimit();
  t.equal(limit.boundBytes, 65_536);
  t.equal(limit.roomBytes, 65_536);
  t.equal(limit.minRttMs, Infinity);
  t.equal(limit.rateBytesPerMs, 0);
  limit.onSent(70_000, 0);
  t.equal(limit.roomBytes, 65_536 - 70_000);
  t.ok(limit.isBlind);
  t.ok(limit.wantsMark(0));
});

t.test('7.4 a PONG acknowledges all earlier marks, even if their PONGs were lost', async (t) => {
  const limit = new InFlightLimit();
  const marks = [0, 1, 2].map((at) => sendMarked(limit, 10_000, 1_000 + at));
  t.notOk(limit.isBlind);
  limit.onPong(marks[1]!, 1_050, 0, 0);
  t.equal(limit.inFlightBytes, 10_016);
  limit.onPong(marks[2]!, 1_051, 0, 0);
  t.equal(limit.inFlightBytes, 0);
});

t.test('unknown, repeated and late PONGs are ignored', async (t) => {
  const limit = new InFlightLimit();
  const [one, two] = [sendMarked(limit, 1_000, 1_000), sendMarked(limit, 1_000, 1_001)];
  for (const unknown of [0, 3, 130, 4_294_967_295]) limit.onPong(unknown, 1_002, 0, 0);
  t.equal(limit.inFlightBytes, 2_032);
  t.equal(limit.minRttMs, Infinity);
  limit.onPong(two, 1_050, 0, 0);
  const { minRttMs, rateBytesPerMs, boundBytes } = limit;
  limit.onPong(one, 1_050, 0, 0);
  limit.onPong(two, 1_050, 0, 0);
  t.equal(limit.inFlightBytes, 0);
  t.strictSame(
    [limit.minRttMs, limit.rateBytesPerMs, limit.boundBytes],
    [minRttMs, rateBytesPerMs, boundBytes],
  );
});

t.test('a peer that does not answer receives a limited number of marks', async (t) => {
  const limit = new InFlightLimit();
  let marks = 0;
  for (let at = 0; at < 1_000; at++) {
    limit.onSent(50_000, at);
    if (!limit.wantsMark(at)) continue;
    limit.mark(at, false);
    marks++;
  }
  t.ok(marks <= 128, `${marks}`);
  t.ok(limit.roomBytes < 0);
});

t.test('few bytes over a long time do not count as a high rate', async (t) => {
  const limit = new InFlightLimit();
  for (let second = 1; second <= 60; second++) limit.onSent(500, second * 1_000);
  const mark = sendMarked(limit, 0, 60_000, true);
  limit.onPong(mark, 60_001, 0, 0);
  t.ok(limit.rateBytesPerMs < 1, `${limit.rateBytesPerMs} bytes/ms`);
});

t.test('a side that sends few bytes still sends marks', async (t) => {
  const limit = new InFlightLimit();
  limit.onPong(sendMarked(limit, 100, 1_000, true), 1_010, 0, 0);
  limit.onSent(100, 1_500);
  t.notOk(limit.wantsMark(1_500));
  t.ok(limit.wantsMark(2_500));
  t.equal(limit.minRttMs, 10);
});

t.test('5.4 on a slow link the queue stays short and the link stays full', async (t) => {
  const sender = new GreedySender({ bytesPerMs: 1_250, rttMs: 50 });
  sender.run(3_000);
  for (let round = 0; round < 20; round++) {
    const used = sender.run(3_000);
    t.ok(used > 0.9, `used ${used}`);
    t.ok(sender.worstQueueMs < 80, `queue ${sender.worstQueueMs}`);
  }
  t.ok(sender.limit.minRttMs >= 50 && sender.limit.minRttMs < 60, `${sender.limit.minRttMs}`);
});

t.test('7.5 a busy peer is not mistaken for a queue or for a long path', async (t) => {
  for (const busy of [
    { everyMs: 50, forMs: 30 },
    { everyMs: 200, forMs: 120 },
    { everyMs: 1_000, forMs: 100 },
  ]) {
    const sender = new GreedySender({ bytesPerMs: 12_500, rttMs: 10, busy });
    sender.run(5_000);
    const used = sender.run(30_000);
    t.ok(used > 0.9, `used ${used} with ${busy.forMs} ms of ${busy.everyMs} ms`);
    t.ok(sender.limit.minRttMs < 15, `minimum ${sender.limit.minRttMs}`);
  }
});

t.test('the bound shrinks after a busy period of the peer', async (t) => {
  const sender = new GreedySender({ bytesPerMs: 1_250, rttMs: 50 });
  sender.run(5_000);
  const before = sender.limit.boundBytes;
  sender.path.busy = { everyMs: 200, forMs: 150 };
  sender.run(2_000);
  t.ok(sender.limit.boundBytes > before + 1_250 * 100, 'the bound grew while the peer was busy');
  delete sender.path.busy;
  sender.run(5_000);
  t.ok(sender.limit.boundBytes < before * 1.1, `${sender.limit.boundBytes} after ${before}`);
});

for (const [what, rttMs] of [
  ['longer', 200],
  ['shorter', 10],
] as const) {
  t.test(`a path that became ${what} is detected`, async (t) => {
    const sender = new GreedySender({ bytesPerMs: 2_500, rttMs: 40 });
    sender.run(15_000);
    sender.path.rttMs = rttMs;
    sender.run(15_000);
    t.ok(Math.abs(sender.limit.minRttMs - rttMs) < 15, `${sender.limit.minRttMs}`);
    t.ok(sender.run(10_000) > 0.9);
  });
}

t.test('an idle tunnel detects a longer path with its PINGs', async (t) => {
  const limit = new InFlightLimit();
  for (let nowMs = 0; nowMs < 60_000; nowMs += 2_000) {
    const rttMs = nowMs < 10_000 ? 20 : 150;
    limit.onPong(sendMarked(limit, 50, nowMs, true), nowMs + rttMs, 0, 0);
  }
  t.equal(limit.minRttMs, 150);
});
