import { InFlightLimit } from '@fairlead/protocol/internal';
import t from 'tap';

const PING_BYTES = 16;

/** Sends bytes and then a mark. */
function sendMarked(limit: InFlightLimit, bytes: number, nowMs: number, hadLittle = false): number {
  limit.onSent(bytes + PING_BYTES, nowMs);
  return limit.mark(nowMs, hadLittle);
}

/** Sends bytes with a mark and gets the PONG after `rttMs`. @returns the time of the PONG */
function roundTrip(
  limit: InFlightLimit,
  bytes: number,
  nowMs: number,
  rttMs: number,
  { hadLittle = false, peerBusyMs = 0, ownBusyMs = 0 } = {},
): number {
  limit.onSent(bytes, nowMs);
  limit.onPong(limit.mark(nowMs, hadLittle), nowMs + rttMs, peerBusyMs, ownBusyMs);
  return nowMs + rttMs;
}

/** Exchanges PINGs until earlier busy time has no effect. @returns the time after that */
function idle(limit: InFlightLimit, startMs: number, rttMs: number): number {
  let nowMs = startMs;
  while (nowMs < startMs + 10_000) nowMs = roundTrip(limit, 16, nowMs, rttMs, { hadLittle: true });
  return nowMs;
}

/** A limit that has measured a path once. */
function measured(bytesPerMs: number, rttMs: number): InFlightLimit {
  const limit = new InFlightLimit();
  roundTrip(limit, bytesPerMs * rttMs, 1_000, rttMs);
  return limit;
}

/** A limit that has measured that the path has no more room. The time is 2,000 ms at most. */
function steady(bytesPerMs: number, rttMs: number): InFlightLimit {
  const limit = measured(bytesPerMs, rttMs);
  for (let count = 1; count <= 3; count++) {
    roundTrip(limit, bytesPerMs * rttMs, 1_000 + count * rttMs, rttMs);
  }
  return limit;
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

t.test('5.4 the bound follows rate and round trip time', async (t) => {
  for (const [bytesPerMs, rttMs, startup, full] of [
    // A slow link has 64 KiB, or 32 KiB above rate x RTT.
    [100, 100, 65_536, 65_536],
    [1_000, 50, 100_000, 82_768],
    // At the start twice, later 25 ms or 25 % more than rate x RTT.
    [12_500, 60, 1_500_000, 1_062_500],
    [12_500, 200, 5_000_000, 3_125_000],
    // At most 1 MiB more on a fast link.
    [100_000, 5, 1_548_576, 1_548_576],
  ] as const) {
    const path = `${bytesPerMs} bytes/ms, ${rttMs} ms`;
    const limit = measured(bytesPerMs, rttMs);
    t.equal(limit.rateBytesPerMs, bytesPerMs, path);
    t.equal(limit.minRttMs, rttMs, path);
    t.equal(limit.boundBytes, startup, `${path} at the start`);
    t.equal(steady(bytesPerMs, rttMs).boundBytes, full, `${path} later`);
  }
});

t.test('4 to 16 marks are in a full pipe, at most one in a ms and in a full frame', async (t) => {
  t.equal(new InFlightLimit().markEveryBytes, 32_760);
  for (const [bytesPerMs, rttMs, marksPerBound] of [
    [12_500, 100, 16],
    [1_000_000, 0.1, 4],
  ] as const) {
    const limit = measured(bytesPerMs, rttMs);
    t.equal(limit.markEveryBytes, Math.floor(limit.boundBytes / marksPerBound));
  }
  t.equal(measured(200_000, 1).markEveryBytes, 200_000, 'one in a ms');
  t.equal(measured(1_000, 100).markEveryBytes, 32_760, 'one in a full frame');
});

t.test('a mark is wanted after enough bytes, or after any byte if the latest is old', async (t) => {
  const limit = new InFlightLimit();
  t.notOk(limit.wantsMark(5_000), 'nothing was sent');
  limit.onSent(32_759, 1_000);
  limit.mark(1_000, false);
  limit.onSent(32_759, 1_000);
  t.notOk(limit.wantsMark(1_000), 'the bytes before the latest mark do not count');
  t.notOk(limit.wantsMark(2_000));
  t.ok(limit.wantsMark(2_001), 'the latest mark is older than a second');
  limit.onSent(1, 1_000);
  t.ok(limit.wantsMark(1_000));
});

t.test('bytes are blind if no mark is in flight that could confirm some of them', async (t) => {
  const limit = new InFlightLimit();
  t.notOk(limit.isBlind, 'nothing was sent');
  const mark = sendMarked(limit, 1_000, 1_000);
  limit.onSent(1_000, 1_000);
  t.notOk(limit.isBlind);
  limit.onPong(mark, 1_010, 0, 0);
  t.ok(limit.isBlind);
});

t.test('5.4 the start ends after three round trips without 25 % more rate', async (t) => {
  const factor = ({ boundBytes, rateBytesPerMs, minRttMs }: InFlightLimit) =>
    Number((boundBytes / (rateBytesPerMs * minRttMs)).toFixed(3));
  const grow = (growth: number, trips: number, options = {}) => {
    // A power of two, so that rates are exact.
    const rttMs = 256;
    const limit = measured(10_000, rttMs);
    let bytes = 10_000 * rttMs;
    for (let trip = 1; trip <= trips; trip++) {
      bytes *= growth;
      roundTrip(limit, bytes, 1_000 + trip * rttMs, rttMs, options);
    }
    return factor(limit);
  };
  t.equal(grow(1, 2), 2, 'after two round trips');
  t.equal(grow(1, 3), 1.25, 'after three');
  t.equal(grow(1.25, 8), 2, 'while the rate grows');
  t.equal(grow(1.125, 4), 2, 'two round trips can be too slow');
  t.equal(grow(1, 100, { hadLittle: true }), 2, 'if there is little to send');

  const limit = measured(10_000, 200);
  for (let trip = 1; trip < 3; trip++) {
    const nowMs = 1_000 + trip * 200;
    const marks = [0, 1, 2, 3].map((ms) => sendMarked(limit, 500_000 - 16, nowMs + ms));
    for (const [ms, mark] of marks.entries()) limit.onPong(mark, nowMs + 200 + ms, 0, 0);
  }
  t.equal(factor(limit), 2, 'several marks of one round trip count once');
});

t.test('5.4 the start ends when the queue reaches 25 ms or a quarter of the RTT', async (t) => {
  for (const [rttMs, queueMs, ended] of [
    [40, 25, false],
    [40, 26, true],
    [200, 50, false],
    [200, 51, true],
  ] as const) {
    const limit = measured(10_000, rttMs);
    roundTrip(limit, 10_000 * rttMs, 1_000 + rttMs, rttMs + queueMs);
    const before = limit.boundBytes;
    t.equal(before < 20_000 * rttMs, ended, `${queueMs} ms at ${rttMs} ms`);
  }
  const busy = measured(10_000, 200);
  roundTrip(busy, 2_000_000, 1_200, 300, { peerBusyMs: 104 });
  idle(busy, 1_500, 200);
  t.equal(busy.boundBytes, 4_000_000, 'the busy time of the peer is not a queue');
});

t.test('the highest rate of the current and the previous window counts', async (t) => {
  for (const [rttMs, windowMs] of [
    [50, 1_000],
    [200, 2_000],
  ] as const) {
    const limit = new InFlightLimit();
    let nowMs = roundTrip(limit, 10_000 * rttMs, 10_000, rttMs);
    const startMs = nowMs;
    while (limit.rateBytesPerMs === 10_000 && nowMs < startMs + 10_000) {
      nowMs = roundTrip(limit, 5_000 * rttMs, nowMs, rttMs);
    }
    t.equal(limit.rateBytesPerMs, 5_000);
    // The first sample begins a window.
    const ageMs = nowMs - startMs;
    t.ok(ageMs > 2 * windowMs && ageMs <= 2 * (windowMs + rttMs), `${ageMs} ms at ${rttMs} ms`);
  }
});

t.test('a rate that was measured with little to send can only raise the estimate', async (t) => {
  const limit = measured(10_000, 50);
  let nowMs = 1_050;
  for (let trip = 0; trip < 200; trip++) {
    nowMs = roundTrip(limit, 5_000 * 50, nowMs, 50, { hadLittle: true });
  }
  t.equal(limit.rateBytesPerMs, 10_000, 'after ten seconds');
  roundTrip(limit, 12_000 * 50, nowMs, 50, { hadLittle: true });
  t.equal(limit.rateBytesPerMs, 12_000);
});

t.test('a pause does not lower the rate', async (t) => {
  const limit = new InFlightLimit();
  for (let trip = 0; trip < 10; trip++) roundTrip(limit, 50_000, 1_000 + trip * 5_000, 50);
  t.equal(limit.rateBytesPerMs, 1_000);
});

t.test('PONGs that arrive together do not count as a high rate', async (t) => {
  const limit = new InFlightLimit();
  const first = sendMarked(limit, 10_000, 1_000);
  limit.onSent(100_000, 1_050);
  limit.onPong(first, 1_099, 0, 0);
  const second = limit.mark(1_100, false);
  limit.onPong(second, 1_101, 0, 0);
  t.equal(limit.rateBytesPerMs, 1_000, 'it is not above the rate of sending');
  const instant = new InFlightLimit();
  roundTrip(instant, 10_000, 1_000, 0);
  t.equal(instant.rateBytesPerMs, 0, 'a PONG in the same millisecond shows no rate');
  t.equal(instant.minRttMs, 0);
});

t.test('7.5 the bound grows by what the link carries while a process is busy', async (t) => {
  const grown = (peerBusyMs: number, ownBusyMs: number) => {
    const limit = measured(1_000, 200);
    const before = limit.boundBytes;
    roundTrip(limit, 100, 1_200, 200, { hadLittle: true, peerBusyMs, ownBusyMs });
    return limit.boundBytes - before;
  };
  t.equal(grown(2, 2), 0, 'an idle process is busy for 4 ms');
  t.equal(grown(54, 0), 62_500, '25 % more than in 50 ms');
  t.equal(grown(0, 54), 62_500);
  t.equal(grown(40, 14), 62_500);
  t.equal(grown(9_000, 0), 625_000, 'at most 500 ms count');

  const limit = measured(1_000, 200);
  const before = limit.boundBytes;
  let nowMs = roundTrip(limit, 100, 1_200, 200, { hadLittle: true, peerBusyMs: 104 });
  const busy = limit.boundBytes - before;
  nowMs = roundTrip(limit, 100, nowMs, 200, { hadLittle: true });
  const later = (limit.boundBytes - before) / busy;
  t.ok(later > 0.3 && later < 0.4, `${later} of it after 200 ms`);
  nowMs = roundTrip(limit, 100, nowMs, 200, { hadLittle: true, peerBusyMs: 24 });
  t.ok((limit.boundBytes - before) / busy < later, 'a shorter busy time does not prolong it');
  idle(limit, nowMs, 200);
  t.equal(limit.boundBytes, before);
});

t.test('a minimum RTT that was not seen for 10 s is probed when the pipe is empty', async (t) => {
  const limit = steady(5_000, 40);
  const steadyBound = limit.boundBytes;
  let nowMs = 1_160;
  while (nowMs < 20_000) nowMs = roundTrip(limit, 5_000 * 43, nowMs, 43);
  t.equal(limit.boundBytes, steadyBound, '10 % more than the minimum confirms it');
  const startMs = nowMs;
  while (limit.boundBytes === steadyBound) {
    const bytesPerMs = nowMs - startMs < 9_500 ? 5_000 : 4_000;
    nowMs = roundTrip(limit, 16, nowMs, 50, { hadLittle: true });
    if (limit.boundBytes === steadyBound) nowMs = roundTrip(limit, bytesPerMs * 50, nowMs, 50);
  }
  t.ok(nowMs - startMs > 10_000 && nowMs - startMs <= 10_100, `${nowMs - startMs} ms`);
  t.equal(limit.boundBytes, (4_000 * 40) / 2, 'half of the pipe, by the latest rate');

  limit.onSent(80_001, nowMs);
  t.notOk(limit.wantsProbe, 'more than that is in flight');
  limit.onPong(limit.mark(nowMs, false), nowMs + 50, 0, 0);
  t.ok(limit.wantsProbe);
  nowMs += 50;
  limit.onSent(16, nowMs);
  const probe = limit.mark(nowMs, false);
  t.notOk(limit.wantsProbe, 'one mark is enough');
  t.equal(limit.boundBytes, steadyBound, 'bulk continues behind the mark');
  limit.onPong(probe, nowMs + 48, 0, 0);
  t.equal(limit.minRttMs, 48);
});

for (const [what, probedMs, peerBusyMs, minRttMs, factor] of [
  ['a little longer path', 240, 0, 240, 1.25],
  ['a path that is 25 % longer', 250, 0, 250, 1.25],
  ['a path that is more than 25 % longer, which is measured again', 251, 0, 251, 2],
  ['a shorter path', 150, 0, 150, 1.25],
  ['the same path to a busy peer', 500, 304, 200, 1.25],
  ['the same path to a peer that was busy in between', 210, 304, 200, 1.25],
  ['a longer path to a busy peer', 600, 304, 300, 2],
] as const) {
  t.test(`a probe of the RTT finds ${what}`, async (t) => {
    const limit = steady(10_000, 200);
    let nowMs = 1_800;
    while (!limit.wantsProbe) nowMs = roundTrip(limit, 10_000 * 240, nowMs, 240);
    nowMs = roundTrip(limit, 16, nowMs, probedMs, { hadLittle: true, peerBusyMs });
    t.equal(limit.minRttMs, minRttMs);
    idle(limit, nowMs, minRttMs);
    t.equal(limit.boundBytes, 10_000 * minRttMs * factor);
  });
}

t.test('a queue that stays too long is probed, and the earlier rate is forgotten', async (t) => {
  const run = (queueMs: number, ms: number, options = {}, rate = 10_000, rttMs = 200) => {
    const limit = steady(rate, rttMs);
    let nowMs = 1_800;
    const endMs = nowMs + ms;
    while (!limit.wantsProbe && nowMs < endMs) {
      nowMs = roundTrip(limit, 1_000 * (rttMs + queueMs), nowMs, rttMs + queueMs, options);
    }
    return { probed: limit.wantsProbe, afterMs: nowMs - 1_800, rate: limit.rateBytesPerMs };
  };
  // The bound allows a queue of 50 ms.
  const tooLong = run(101, 5_000);
  t.ok(tooLong.probed);
  t.ok(tooLong.afterMs > 700 && tooLong.afterMs <= 1_400, `after ${tooLong.afterMs} ms`);
  t.equal(tooLong.rate, 1_000);
  t.equal(run(101, 600).rate, 10_000, 'a rate lasts for two round trips at least');
  const hadLittle = true;
  t.ok(run(26, 5_000, { hadLittle }, 1_000_000, 10).probed, 'more than 25 ms on a fast link');
  t.notOk(run(24, 5_000, { hadLittle }, 1_000_000, 10).probed);
  const long = run(99, 1_400);
  t.notOk(long.probed, 'less than twice the allowed queue is not too long');
  t.equal(long.rate, 10_000);
  t.notOk(run(800, 5_000, { peerBusyMs: 304 }).probed, 'a busy peer is not a queue');

  const limit = steady(10_000, 200);
  let nowMs = 1_800;
  for (let trip = 0; trip < 20; trip++) {
    nowMs = roundTrip(limit, 2_000_000, nowMs, trip % 2 === 0 ? 301 : 250);
  }
  t.notOk(limit.wantsProbe, 'a short disturbance is not probed');
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
  t.equal(marks, 127);
  t.ok(limit.roomBytes < 0);
  limit.onPong(127, 1_000, 0, 0);
  t.ok(limit.wantsMark(1_000), 'until it answers');
});

t.test('marks do not end after many answers', async (t) => {
  const limit = new InFlightLimit();
  for (let trip = 0; trip < 1_000; trip++) {
    limit.onSent(40_000, 1_000 + trip * 10);
    t.ok(limit.wantsMark(1_000 + trip * 10));
    limit.onPong(limit.mark(1_000 + trip * 10, false), 1_005 + trip * 10, 0, 0);
  }
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
