import { Liveness } from '@fairlead/protocol';
import t from 'tap';
import { inVirtualTime, type VirtualClock } from './virtual-clock.ts';

interface Watch {
  readonly clock: VirtualClock;
  readonly liveness: Liveness;
  /** Seconds since the start, and what was told then. */
  readonly told: [number, 'ping' | 'silent' | 'heard' | 'unresponsive' | 'lost'][];
  isAwaited: boolean;
}

/** Watches a peer that answers nothing by itself. */
function watch(body: (watch: Watch) => void): void {
  inVirtualTime((clock) => {
    const startMs = clock.nowMs;
    const told: Watch['told'] = [];
    const tell = (what: Watch['told'][number][1]) => {
      told.push([Math.round((clock.nowMs - startMs) / 100) / 10, what]);
    };
    const it: Watch = {
      clock,
      told,
      isAwaited: false,
      liveness: new Liveness(
        { pingIntervalMs: 10_000, pingTimeoutMs: 20_000 },
        {
          sendPing: () => tell('ping'),
          onLost: () => {
            tell('lost');
            it.liveness.stop();
          },
          isAwaited: () => it.isAwaited,
          onUnresponsive: () => tell('unresponsive'),
          onSilence: (isSilent) => tell(isSilent ? 'silent' : 'heard'),
        },
      ),
    };
    it.liveness.start();
    body(it);
    it.liveness.stop();
  });
}

t.test('7.6 an idle peer is silent 2 s after the PING, long before it is lost', async (t) => {
  watch(({ clock, told, liveness }) => {
    clock.advance(12_000);
    t.ok(liveness.isSilent);
    clock.advance(60_000);
    t.strictSame(told, [
      [10, 'ping'],
      [12, 'silent'],
      [30, 'lost'],
    ]);
  });
});

t.test('7.6 any byte ends the silence', async (t) => {
  watch(({ clock, told, liveness }) => {
    clock.advance(15_000);
    liveness.onBytes();
    t.notOk(liveness.isSilent);
    liveness.onBytes();
    clock.advance(8_000);
    t.strictSame(told.slice(0, 3), [
      [10, 'ping'],
      [12, 'silent'],
      [15, 'heard'],
    ]);
    t.notOk(told.some(([, what]) => what === 'lost'));
  });
});

t.test('7.3, 7.6 a dial finds out within 3 s; the silence is told first', async (t) => {
  watch((it) => {
    it.isAwaited = true;
    it.liveness.expectAnswer();
    it.clock.advance(5_000);
    t.strictSame(it.told, [
      [1, 'ping'],
      [3, 'silent'],
      [3, 'unresponsive'],
    ]);
  });
});

t.test('asked for a sign of life: silent 2 s later, lost after the timeout', async (t) => {
  watch(({ clock, told, liveness }) => {
    clock.advance(1_000);
    liveness.ping();
    clock.advance(500);
    liveness.ping();
    clock.advance(60_000);
    t.strictSame(told, [
      [1, 'ping'],
      [3, 'silent'],
      [21, 'lost'],
    ]);
  });
});

t.test('asked, and answered: the next PING comes after the usual interval', async (t) => {
  watch(({ clock, told, liveness }) => {
    clock.advance(1_000);
    liveness.ping();
    clock.advance(100);
    liveness.onBytes();
    clock.advance(10_500);
    t.strictSame(told, [
      [1, 'ping'],
      [11.1, 'ping'],
    ]);
  });
});
