import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DialQueue } from '@fairlead/agent/internal';
import t from 'tap';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

t.test('dials begin in order, and others have their turns in between', async (t) => {
  const queue = new DialQueue();
  const begun: number[] = [];
  for (let index = 0; index < 20; index++) {
    queue.add(() => {
      begun.push(index);
      const untilMs = performance.now() + 2;
      while (performance.now() < untilMs);
    });
  }
  t.strictSame(begun, [], 'none within the call');
  let turns = 0;
  for (; begun.length < 20 && turns < 100_000; turns++) await new Promise(setImmediate);
  t.ok(turns >= 5, `${turns} turns`);
  t.strictSame(begun, [...begun.keys()]);
  await new Promise<void>((resolve) => queue.add(resolve));
});

t.test('what has begun is let go, also when there is always something left to begin', async (t) => {
  const queue = new DialQueue();
  const begun: WeakRef<object>[] = [];
  const addSlow = () => {
    const dial = { bytes: Buffer.alloc(1024) };
    queue.add(() => {
      begun.push(new WeakRef(dial));
      const untilMs = performance.now() + 6;
      while (performance.now() < untilMs);
    });
  };
  addSlow();
  for (let turn = 0; turn < 20; turn++) {
    addSlow();
    await new Promise(setImmediate);
  }
  t.ok(begun.length >= 10);
  collectGarbage();
  const kept = begun.filter((dial) => dial.deref() !== undefined);
  t.ok(kept.length <= 2, `${kept.length} of ${begun.length} are kept`);
});
