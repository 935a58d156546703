import { Liveness } from '@fairlead/protocol';
import t from 'tap';
import { inVirtualTime, type VirtualClock } from '../event-loop/virtual-clock.ts';

interface Watch {
  readonly clock: VirtualClock;
  readonly liveness: Liveness;
  /** The calls, each with its time in seconds since the start. */
  readonly events: [number, 'ping' | 'silent' | 'alive' | 'unresponsive' | 'lost'][];
  isAwaited: boolean;
}

/** Watches a peer that does not send. */
function watch(body: (watch: Watch) => void): void {
  inVirtualTime((clock) => {
    const startMs = clock.nowMs;
    const events: Watch['events'] = [];
    const record = (what: Watch['events'][number][1]) => {
      events.push([Math.round((clock.nowMs - startMs) / 100) / 10, what]);
    };
    const it: Watch = {
      clock,
      events,
      isAwaited: false,
      liveness: new Liveness(
        { pingIntervalMs: 10_000, pingTimeoutMs: 20_000 },
        {
          sendPing: () => record('ping'),
          onLost: () => {
            record('lost');
            it.liveness.stop();
          },
          isAwaited: () => it.isAwaited,
          onUnresponsive: () => record('unresponsive'),
          onSilence: (isSilent) => record(isSilent ? 'silent' : 'alive'),
        },
      ),
    };
    it.liveness.start();
    body(it);
    it.liveness.stop();
  });
}

t.test('7.6 an idle peer is silent 2 s after the PING, before it is lost', async (t) => {
  watch(({ clock, events, liveness }) => {
    clock.advance(12_000);
    t.ok(liveness.isSilent);
    clock.advance(60_000);
    t.strictSame(events, [
      [10, 'ping'],
      [12, 'silent'],
      [30, 'lost'],
    ]);
  });
});

t.test('7.6 any byte ends the silence', async (t) => {
  watch(({ clock, events, liveness }) => {
    clock.advance(15_000);
    liveness.onBytes();
    t.notOk(liveness.isSilent);
    liveness.onBytes();
    clock.advance(8_000);
    t.strictSame(events.slice(0, 3), [
      [10, 'ping'],
      [12, 'silent'],
      [15, 'alive'],
    ]);
    t.notOk(events.some(([, what]) => what === 'lost'));
  });
});

t.test(
  '7.3, 7.6 a dial detects the silence within 3 s, and onSilence is called first',
  async (t) => {
    watch((it) => {
      it.isAwaited = true;
      it.liveness.expectAnswer();
      it.clock.advance(5_000);
      t.strictSame(it.events, [
        [1, 'ping'],
        [3, 'silent'],
        [3, 'unresponsive'],
      ]);
    });
  },
);

t.test('ping() without an answer: silent after 2 s, lost after the timeout', async (t) => {
  watch(({ clock, events, liveness }) => {
    clock.advance(1_000);
    liveness.ping();
    clock.advance(500);
    liveness.ping();
    clock.advance(60_000);
    t.strictSame(events, [
      [1, 'ping'],
      [3, 'silent'],
      [21, 'lost'],
    ]);
  });
});

t.test('ping() with an answer: the next PING follows after the interval', async (t) => {
  watch(({ clock, events, liveness }) => {
    clock.advance(1_000);
    liveness.ping();
    clock.advance(100);
    liveness.onBytes();
    clock.advance(10_500);
    t.strictSame(events, [
      [1, 'ping'],
      [11.1, 'ping'],
    ]);
  });
});
