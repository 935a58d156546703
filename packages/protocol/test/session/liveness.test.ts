import { Liveness } from '@fairlead/protocol';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t from 'tap';
import { inVirtualTime, type VirtualClock } from '../event-loop/virtual-clock.ts';
import { HELLO, RawPeer } from './raw-peer.ts';
import { RecordingStream } from './recording-handlers.ts';
import { connectedPair } from './session-pair.ts';

interface Watch {
  readonly clock: VirtualClock;
  readonly liveness: Liveness;
  /** Times of the calls, in seconds since the start. */
  readonly pings: number[];
  readonly losses: number[];
  readonly unresponsive: number[];
  isAwaited: boolean;
  /** How long the peer takes to answer a PING; undefined if it does not answer. */
  answerMs: number | undefined;
}

/** Watches with the default options, in virtual time. */
function watch(body: (watch: Watch) => void): void {
  inVirtualTime((clock) => {
    const startMs = clock.nowMs;
    const seconds = () => Math.round((clock.nowMs - startMs) / 100) / 10;
    const it: Watch = {
      clock,
      pings: [],
      losses: [],
      unresponsive: [],
      isAwaited: false,
      answerMs: undefined,
      liveness: new Liveness(
        { pingIntervalMs: 10_000, pingTimeoutMs: 20_000 },
        {
          sendPing() {
            it.pings.push(seconds());
            if (it.answerMs !== undefined) clock.after(it.answerMs, () => it.liveness.onBytes());
          },
          onLost() {
            it.losses.push(seconds());
            it.liveness.stop();
          },
          isAwaited: () => it.isAwaited,
          onUnresponsive() {
            it.unresponsive.push(seconds());
          },
        },
      ),
    };
    it.liveness.start();
    body(it);
    it.liveness.stop();
  });
}

t.test('7.2 a silent peer receives a PING and is lost after the timeout', async (t) => {
  watch(({ clock, pings, losses }) => {
    clock.advance(100_000);
    t.strictSame(pings, [10]);
    t.strictSame(losses, [30]);
  });
});

for (const answerMs of [0.1, 30, 9_900, 15_000]) {
  t.test(
    `7.2 an idle tunnel whose PINGs are answered after ${answerMs} ms stays open`,
    async (t) => {
      watch((it) => {
        it.answerMs = answerMs;
        it.clock.advance(3_600_000);
        t.strictSame(it.losses, []);
        t.ok(it.pings.length >= 3600 / (10 + 20), `${it.pings.length} PINGs in an hour`);
      });
    },
  );
}

t.test('7.2 a late timer does not lose an idle tunnel', async (t) => {
  watch((it) => {
    it.answerMs = 0.05;
    const { setTimeout } = globalThis;
    globalThis.setTimeout = ((run: () => void, ms: number) =>
      setTimeout(run, ms + 3)) as typeof setTimeout;
    it.clock.advance(3_600_000);
    t.strictSame(it.losses, []);
  });
});

t.test('7.2 an idle tunnel sends a PING in every interval', async (t) => {
  watch((it) => {
    it.answerMs = 20;
    it.clock.advance(60_500);
    t.strictSame(it.pings.map(Math.round), [10, 20, 30, 40, 50, 60]);
  });
});

t.test('7.1 received bytes keep the tunnel alive without PINGs', async (t) => {
  watch(({ clock, liveness, pings, losses }) => {
    for (let second = 0; second < 300; second++) {
      clock.advance(1_000);
      liveness.onBytes();
      if (liveness.silentMs !== 0) t.fail(`silent for ${liveness.silentMs} ms`);
    }
    t.strictSame([pings, losses], [[], []]);
  });
});

t.test('7.2 a peer that stops answering is lost after interval and timeout', async (t) => {
  watch((it) => {
    it.answerMs = 5;
    it.clock.advance(10_100);
    it.answerMs = undefined;
    it.clock.advance(100_000);
    t.strictSame(it.pings, [10, 20]);
    t.strictSame(it.losses, [40]);
  });
});

t.test('7.2 any bytes after the PING count as an answer', async (t) => {
  watch((it) => {
    it.clock.advance(25_000);
    it.liveness.onBytes();
    it.clock.advance(29_000);
    t.strictSame(it.losses, []);
    it.clock.advance(10_000);
    t.strictSame(it.losses, [55]);
  });
});

t.test(
  '7.2 a process that was suspended sends another PING before it closes the tunnel',
  async (t) => {
    watch((it) => {
      it.clock.advance(15_000);
      // After a suspension, the timers run before the bytes of the peer are read.
      it.clock.nowMs += 600_000;
      it.clock.advance(1);
      t.strictSame(it.losses, []);
      t.equal(it.pings.length, 2);
      it.clock.advance(21_000);
      t.equal(it.losses.length, 1, 'without an answer, it closes the tunnel');
    });
  },
);

t.test('7.3 OPEN after a second of silence sends a PING at once', async (t) => {
  watch((it) => {
    it.clock.advance(5_000);
    it.isAwaited = true;
    it.liveness.expectAnswer();
    t.strictSame(it.pings, [5]);
    it.clock.advance(10_000);
    t.strictSame(it.unresponsive, [7]);
    it.liveness.expectAnswer();
    it.clock.advance(3_000);
    t.strictSame(it.unresponsive, [7, 17], 'again for the next OPEN');
  });
});

t.test('7.3 after OPEN on an active tunnel, a PING is sent when it becomes silent', async (t) => {
  watch((it) => {
    it.clock.advance(5_000);
    it.liveness.onBytes();
    it.clock.advance(400);
    it.isAwaited = true;
    it.liveness.expectAnswer();
    it.liveness.expectAnswer();
    t.strictSame(it.pings, []);
    it.clock.advance(600);
    t.strictSame(it.pings, [6]);
    it.clock.advance(3_000);
    t.strictSame(it.unresponsive, [8]);
  });
});

t.test('7.3 a slow dial continues on a tunnel that answers', async (t) => {
  watch((it) => {
    it.answerMs = 800;
    it.clock.advance(5_000);
    it.isAwaited = true;
    it.liveness.expectAnswer();
    it.clock.advance(30_000);
    t.strictSame(it.unresponsive, []);
    it.isAwaited = false;
    it.clock.advance(5_000);
    const { length } = it.pings;
    it.clock.advance(5_000);
    t.equal(it.pings.length, length, 'no PING is sent if no stream waits');
  });
});

t.test('7.3 a process that was suspended reads first, before it resets streams', async (t) => {
  watch((it) => {
    it.clock.advance(5_000);
    it.isAwaited = true;
    it.liveness.expectAnswer();
    it.clock.nowMs += 60_000;
    it.clock.after(0, () => it.liveness.onBytes());
    it.clock.advance(10_000);
    t.strictSame(
      it.unresponsive.filter((second) => second < 67),
      [],
    );
  });
});

t.test('after stop() no PING is sent and no handler is called', async (t) => {
  watch((it) => {
    it.liveness.expectAnswer();
    it.isAwaited = true;
    it.liveness.stop();
    it.clock.advance(100_000);
    t.strictSame([it.pings, it.losses, it.unresponsive], [[], [], []]);
  });
});

t.test('7.2 a silent session ends with tunnel_silent', async (t) => {
  const time = controlTime(t);
  const peer = new RawPeer(t, 'server', { pingIntervalMs: 20, pingTimeoutMs: 30 });
  peer.send(HELLO);
  await peer.on.until(() => peer.on.hellos.length > 0);
  await time.advance(20);
  await peer.frame('PING', 1);
  await time.advance(29);
  t.notOk(peer.on.isClosed);
  await time.advance(1);
  t.equal((await peer.on.closed())?.code, 'tunnel_silent');
  t.equal(peer.on.closes.length, 1);
});

t.test('7.2 an idle session answers PINGs and stays open', async (t) => {
  const time = controlTime(t);
  const pair = await connectedPair(t, undefined, { pingIntervalMs: 10_000, pingTimeoutMs: 20_000 });
  const sentBefore = pair.server.sentBytes;
  await time.advance(105_000);
  // Only PINGs of 16 bytes and their PONGs are sent.
  t.ok(pair.server.sentBytes >= sentBefore + 16 * 10);
  t.strictSame(pair.onServer.closes, []);
});

t.test('7.3 an unresponsive session resets only the streams that wait for OPENED', async (t) => {
  const time = controlTime(t);
  const peer = new RawPeer(t, 'server');
  peer.send(HELLO);
  await peer.on.until(() => peer.on.hellos.length > 0);
  const [open, waiting] = [new RecordingStream(), new RecordingStream()];
  peer.session.open({ host: 'a', port: 80 }, open);
  peer.session.open({ host: 'b', port: 80 }, waiting);
  await peer.frame('OPEN', 1);
  peer.send('03 00 0000 00000002');
  await open.until(() => open.has('opened'));
  const { length: pings } = peer.frames.filter(({ name }) => name === 'PING');
  await time.advance(1_000);
  await peer.frame('PING', pings);
  t.notOk(waiting.isClosed);
  await time.advance(2_000);
  const reset = await peer.frame('RESET');
  t.equal(reset.id, 4);
  t.equal(reset.code, 33);
  t.equal(waiting.error?.code, 'tunnel_silent');
  t.ok(waiting.error?.retryElsewhere);
  t.notOk(open.isClosed);
  t.notOk(peer.on.isClosed);
});
