import { noteTick, TickShare } from '@fairlead/protocol';
import t from 'tap';

t.test('a source that has used its share of a tick is paused until the next tick', async (t) => {
  // Work takes as long as the test says, however long this process waits for a core.
  let nowMs = 1_000;
  const { now } = performance;
  performance.now = () => nowMs;
  t.teardown(() => {
    performance.now = now;
  });
  const told: string[] = [];
  const share = new TickShare({
    pause: () => told.push('pause'),
    resume: () => told.push('resume'),
  });
  const busy = (ms: number) => {
    share.begin();
    noteTick();
    nowMs += ms;
    share.end();
  };
  busy(0);
  t.strictSame(told, []);
  busy(6);
  busy(6);
  t.strictSame(told, ['pause'], 'once');
  await new Promise(setImmediate);
  t.strictSame(told, ['pause', 'resume']);
  // Three times 2 ms would exceed the share of one tick.
  for (let tick = 0; tick < 3; tick++) {
    busy(2);
    await new Promise(setImmediate);
  }
  t.strictSame(told, ['pause', 'resume'], 'each tick starts again');
});
