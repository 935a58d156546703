import { noteTurn, TurnShare } from '@fairlead/protocol/internal';
import t from 'tap';

const busy = (share: TurnShare, ms: number) => {
  share.begin();
  noteTurn();
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
  share.end();
};

t.test('who has used much of a turn rests until the next', async (t) => {
  const told: string[] = [];
  const share = new TurnShare({
    pause: () => told.push('pause'),
    resume: () => told.push('resume'),
  });
  busy(share, 0);
  t.strictSame(told, []);
  busy(share, 6);
  busy(share, 6);
  t.strictSame(told, ['pause'], 'once');
  await new Promise(setImmediate);
  t.strictSame(told, ['pause', 'resume']);
  // Three thirds would be too much for one turn, unless this process has to wait for a core: then again.
  for (let attempt = 1; ; attempt++) {
    told.length = 0;
    let longestMs = 0;
    for (let turn = 0; turn < 3; turn++) {
      const startedAtMs = performance.now();
      busy(share, 2);
      longestMs = Math.max(longestMs, performance.now() - startedAtMs);
      await new Promise(setImmediate);
    }
    if (longestMs > 4 && attempt < 100) continue;
    t.strictSame(told, [], `each turn is a new one (try ${attempt})`);
    return;
  }
});
