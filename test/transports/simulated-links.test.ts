import t, { type Test } from 'tap';
import { inVirtualTime } from '../../packages/protocol/test/event-loop/virtual-clock.ts';
import {
  SimulatedTunnel,
  type SimulatedTunnelOptions,
} from '../../packages/protocol/test/flow/simulated-tunnel.ts';

/** Whole sessions over simulated links in virtual time: spec 5.4 end to end. */

interface Second {
  /** Share of the link that carried payload. */
  readonly used: number;
  readonly worstQueueMs: number;
  readonly worstEchoMs: number;
  readonly echoes: number;
}

interface Scenario extends SimulatedTunnelOptions {
  readonly seconds: number;
  /** Changes the link at the start of a second. */
  readonly at?: Record<number, (tunnel: SimulatedTunnel) => void>;
}

/** A bulk transfer beside keystrokes. @returns one record per second, from 1 on */
function bulkAndTyping(t: Test, scenario: Scenario): Second[] {
  return inVirtualTime((clock) => {
    const tunnel = new SimulatedTunnel(clock, scenario);
    const bulk = tunnel.bulk();
    const typing = tunnel.type(97);
    const seconds: Second[] = [{ used: 0, worstQueueMs: 0, worstEchoMs: 0, echoes: 0 }];
    for (let second = 1; second <= scenario.seconds; second++) {
      scenario.at?.[second]?.(tunnel);
      const delivered = bulk.deliveredBytes;
      const echoes = typing.echoMs.length;
      let worstQueueMs = 0;
      for (let tick = 0; tick < 200; tick++) {
        clock.advance(5);
        worstQueueMs = Math.max(worstQueueMs, tunnel.down.queueMs);
      }
      seconds.push({
        used: (bulk.deliveredBytes - delivered) / 1000 / tunnel.down.bytesPerMs,
        worstQueueMs,
        worstEchoMs: Math.max(0, ...typing.echoMs.slice(echoes)),
        echoes: typing.echoMs.length - echoes,
      });
    }
    t.ok(tunnel.isUp, 'the tunnel is still up');
    return seconds;
  });
}

function average(seconds: readonly Second[]): number {
  return seconds.reduce((sum, { used }) => sum + used, 0) / seconds.length;
}

function worst(seconds: readonly Second[], what: 'worstQueueMs' | 'worstEchoMs'): number {
  return Math.max(...seconds.map((second) => second[what]));
}

t.test('10 Mbit/s, 50 ms: bulk fills the link, and keystrokes stay fast', async (t) => {
  const seconds = bulkAndTyping(t, { bytesPerMs: 1_250, rttMs: 50, seconds: 60 });
  t.ok(average(seconds.slice(2)) > 0.95, `used ${average(seconds.slice(2))}`);
  t.ok(worst(seconds, 'worstEchoMs') < 150, `echo ${worst(seconds, 'worstEchoMs')} ms`);
  t.ok(worst(seconds, 'worstQueueMs') < 100, `queue ${worst(seconds, 'worstQueueMs')} ms`);
  const queues = seconds.slice(2).map(({ worstQueueMs }) => worstQueueMs);
  queues.sort((one, other) => one - other);
  t.ok(
    queues[Math.floor(queues.length / 2)]! < 50,
    'the median of the worst queues is below 50 ms',
  );
  t.ok(seconds.slice(2).every(({ echoes }) => echoes >= 9));
});

t.test('1 Gbit/s, 100 ms: bulk fills the link within seconds, for a minute', async (t) => {
  const seconds = bulkAndTyping(t, { bytesPerMs: 125_000, rttMs: 100, seconds: 60 });
  t.ok(average(seconds.slice(4, 6)) > 0.9, `at 5 s ${average(seconds.slice(4, 6))}`);
  t.ok(average(seconds.slice(4)) > 0.95, `used ${average(seconds.slice(4))}`);
  t.ok(Math.min(...seconds.slice(4).map(({ used }) => used)) > 0.85);
  t.ok(worst(seconds.slice(4), 'worstEchoMs') < 200, `echo ${worst(seconds, 'worstEchoMs')} ms`);
});

t.test('100 Mbit/s drops to 10: the queue is short after three seconds', async (t) => {
  const seconds = bulkAndTyping(t, {
    bytesPerMs: 12_500,
    rttMs: 50,
    seconds: 40,
    at: {
      15: (tunnel) => {
        tunnel.down.bytesPerMs = 1_250;
      },
    },
  });
  t.ok(average(seconds.slice(2, 15)) > 0.95);
  t.ok(worst(seconds.slice(18), 'worstEchoMs') < 150, `${worst(seconds.slice(18), 'worstEchoMs')}`);
  t.ok(average(seconds.slice(18)) > 0.95, `used ${average(seconds.slice(18))}`);
  t.ok(seconds.slice(18).every(({ echoes }) => echoes >= 9));
});

t.test('10 Mbit/s rises to 100: bulk fills the link after five seconds', async (t) => {
  const seconds = bulkAndTyping(t, {
    bytesPerMs: 1_250,
    rttMs: 50,
    seconds: 40,
    at: {
      15: (tunnel) => {
        tunnel.down.bytesPerMs = 12_500;
      },
    },
  });
  t.ok(average(seconds.slice(20)) > 0.95, `used ${average(seconds.slice(20))}`);
  t.ok(worst(seconds.slice(20), 'worstEchoMs') < 150);
});

t.test('20 ms rises to 120: bulk fills the longer path, and keystrokes stay fast', async (t) => {
  const seconds = bulkAndTyping(t, {
    bytesPerMs: 12_500,
    rttMs: 20,
    seconds: 60,
    at: {
      15: ({ down }) => {
        down.oneWayMs = 110;
      },
    },
  });
  t.ok(average(seconds.slice(2, 15)) > 0.95);
  t.ok(average(seconds.slice(18, 25)) > 0.7, `at first ${average(seconds.slice(18, 25))}`);
  t.ok(average(seconds.slice(35)) > 0.95, `in the end ${average(seconds.slice(35))}`);
  t.ok(worst(seconds.slice(17), 'worstEchoMs') < 220, `${worst(seconds.slice(17), 'worstEchoMs')}`);
});

t.test('10 Mbit/s, 1 ms: at most 64 KiB are queued', async (t) => {
  const seconds = bulkAndTyping(t, { bytesPerMs: 1_250, rttMs: 1, seconds: 30 });
  t.ok(average(seconds.slice(2)) > 0.95);
  t.ok(worst(seconds, 'worstEchoMs') < 101, `${worst(seconds, 'worstEchoMs')}`);
});

t.test('loopback speed: the bound does not slow bulk', async (t) => {
  const seconds = bulkAndTyping(t, { bytesPerMs: 1_000_000, rttMs: 0.1, seconds: 3 });
  t.ok(average(seconds.slice(1)) > 0.95, `used ${average(seconds.slice(1))}`);
});

t.test('10 Mbit/s, 50 ms: bulk does not delay PINGs, whose timeout is 1 s', async (t) => {
  const pings = { pingIntervalMs: 500, pingTimeoutMs: 1_000 };
  const seconds = bulkAndTyping(t, { bytesPerMs: 1_250, rttMs: 50, seconds: 60, pings });
  t.ok(average(seconds.slice(2)) > 0.95, `used ${average(seconds.slice(2))}`);
});

t.test('streams survive a link that stops for 4 s', async (t) => {
  const seconds = bulkAndTyping(t, {
    bytesPerMs: 12_500,
    rttMs: 50,
    seconds: 30,
    at: {
      10: (tunnel) => {
        tunnel.down.peerBusyUntilMs = tunnel.clock.nowMs + 4_000;
      },
    },
  });
  t.ok(average(seconds.slice(18)) > 0.95, `used ${average(seconds.slice(18))}`);
  t.ok(worst(seconds.slice(18), 'worstEchoMs') < 150);
});
