import { AbandonLimit } from '@fairlead/server/internal';
import t from 'tap';

t.test('each caller has a budget of its own, which comes back with time', async (t) => {
  let nowMs = 0;
  const limit = new AbandonLimit({ burst: 3, perSecond: 2 }, () => nowMs);
  for (let count = 0; count < 3; count++) {
    t.ok(limit.allows('a'));
    limit.onAbandoned('a');
  }
  t.notOk(limit.allows('a'));
  t.ok(limit.allows('b'));
  nowMs += 499;
  t.notOk(limit.allows('a'));
  nowMs += 1;
  t.ok(limit.allows('a'));
  limit.onAbandoned('a');
  t.notOk(limit.allows('a'));
  nowMs += 60_000;
  for (let count = 0; count < 3; count++) limit.onAbandoned('a');
  t.notOk(limit.allows('a'), 'the budget does not grow beyond the burst');
});

t.test('dials that were under way when the budget ended do not put it into debt', async (t) => {
  let nowMs = 0;
  const limit = new AbandonLimit({ burst: 1, perSecond: 1 }, () => nowMs);
  for (let count = 0; count < 100; count++) limit.onAbandoned('a');
  nowMs = 1_000;
  t.ok(limit.allows('a'));
});
