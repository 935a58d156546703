import { noteTick, TickShare } from '@fairlead/protocol';
import t from 'tap';

t.test('a source that used its share of a tick is paused until the next tick', async (t) => {
  // A clock of the test, so that the result does not depend on the load of the machine.
  let nowMs = 1_000;
  const { now } = performance;
  performance.now = () => nowMs;
  t.teardown(() => {
    performance.now = now;
  });
  const calls: string[] = [];
  const share = new TickShare({
    pause: () => calls.push('pause'),
    resume: () => calls.push('resume'),
  });
  const busy = (ms: number) => {
    share.begin();
    noteTick();
    nowMs += ms;
    share.end();
  };
  busy(0);
  t.strictSame(calls, []);
  busy(6);
  busy(6);
  t.strictSame(calls, ['pause'], 'once');
  await new Promise(setImmediate);
  t.strictSame(calls, ['pause', 'resume']);
  // Three times 2 ms would exceed the share of one tick.
  for (let tick = 0; tick < 3; tick++) {
    busy(2);
    await new Promise(setImmediate);
  }
  t.strictSame(calls, ['pause', 'resume'], 'the share starts again in each tick');
});
