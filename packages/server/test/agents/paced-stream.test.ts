import { Pace } from '@fairlead/server/internal';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t from 'tap';

const bytesPerSecond = 1_000_000;
const quantumBytes = 65_536;

t.test('sends a burst at once and queues later senders', async (t) => {
  const time = controlTime(t);
  const pace = new Pace(bytesPerSecond);
  t.ok(pace.spend(50_000));
  t.notOk(pace.spend(100_000), 'overdrawn');
  const startedAtMs = performance.now();
  const rounds: [number, number][] = [];
  for (const sender of [1, 2, 3]) {
    pace.whenFree(() => {
      rounds.push([sender, performance.now() - startedAtMs]);
      pace.spend(quantumBytes);
    });
  }
  t.notOk(pace.spend(1), 'waiting senders go first');
  await time.advance(1_000);
  t.same(
    rounds.map(([sender]) => sender),
    [1, 2, 3],
  );
  const [first = 0, second = 0, third = 0] = rounds.map(([, atMs]) => atMs);
  const quantumMs = (quantumBytes / bytesPerSecond) * 1_000;
  t.ok(first > 0, 'the first sender waits until the balance is positive');
  for (const pauseMs of [second - first, third - second]) {
    t.ok(
      Math.abs(pauseMs - quantumMs) <= 2,
      `the pause is as long as the quantum takes: ${pauseMs} ms`,
    );
  }
});

t.test('limits all senders together to the rate', async (t) => {
  const time = controlTime(t);
  const pace = new Pace(bytesPerSecond);
  let spentBytes = 0;
  const spend = () => {
    do spentBytes += quantumBytes;
    while (pace.spend(quantumBytes));
    pace.whenFree(spend);
  };
  for (let sender = 0; sender < 3; sender++) spend();
  // Until the burst is used up.
  await time.advance(1_000);
  const before = spentBytes;
  await time.advance(20_000);
  const rate = (spentBytes - before) / 20;
  t.ok(rate <= bytesPerSecond * 1.01, `${rate} bytes a second`);
  t.ok(rate >= bytesPerSecond * 0.97, `${rate} bytes a second`);
});
