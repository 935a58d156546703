import { Pace } from '@fairlead/server/internal';
import t from 'tap';

t.test('a burst goes at once, what follows waits in line', async (t) => {
  const pace = new Pace(1_000_000);
  t.ok(pace.spend(50_000));
  t.notOk(pace.spend(100_000), 'overdrawn');
  const order: number[] = [];
  const turns = [1, 2, 3].map(
    (turn) =>
      new Promise<void>((resolve) => {
        pace.whenFree(() => {
          order.push(turn);
          pace.spend(65_536);
          resolve();
        });
      }),
  );
  t.notOk(pace.spend(1), 'nobody overtakes those who wait');
  // The timer does not keep a process alive.
  const alive = setInterval(() => {}, 1000);
  const startedAtMs = performance.now();
  await Promise.all(turns);
  clearInterval(alive);
  t.same(order, [1, 2, 3]);
  t.ok(performance.now() - startedAtMs >= 2 * 60, 'each turn costs its bytes');
});
