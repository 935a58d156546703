import { noteTurn, TurnShare } from '@fairlead/protocol/internal';
import t from 'tap';

t.test('a source that has used much of a turn rests until the next', async (t) => {
  // Work takes as long as the test says, however long this process waits for a core.
  let nowMs = 1_000;
  const { now } = performance;
  performance.now = () => nowMs;
  t.teardown(() => {
    performance.now = now;
  });
  const told: string[] = [];
  const share = new TurnShare({
    pause: () => told.push('pause'),
    resume: () => told.push('resume'),
  });
  const busy = (ms: number) => {
    share.begin();
    noteTurn();
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
  // Three times 2 ms would be too much for one turn.
  for (let turn = 0; turn < 3; turn++) {
    busy(2);
    await new Promise(setImmediate);
  }
  t.strictSame(told, ['pause', 'resume'], 'each turn is a new one');
});
