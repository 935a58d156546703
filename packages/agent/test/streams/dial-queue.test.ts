import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DialQueue } from '@fairlead/agent/internal';
import t from 'tap';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

t.test('dials start in order in several ticks', async (t) => {
  const queue = new DialQueue();
  const started: number[] = [];
  for (let index = 0; index < 20; index++) {
    const run = () => {
      started.push(index);
      const untilMs = performance.now() + 2;
      while (performance.now() < untilMs);
    };
    queue.add({ run });
  }
  t.strictSame(started, [], 'no dial starts during add()');
  let ticks = 0;
  for (; started.length < 20 && ticks < 100_000; ticks++) await new Promise(setImmediate);
  t.ok(ticks >= 5, `${ticks} ticks`);
  t.strictSame(started, [...started.keys()]);
  await new Promise<void>((resolve) => queue.add({ run: resolve }));
});

t.test('a started dial is released even if the queue is never empty', async (t) => {
  const queue = new DialQueue();
  const started: WeakRef<object>[] = [];
  const addSlow = () => {
    const dial = { bytes: Buffer.alloc(1024) };
    const run = () => {
      started.push(new WeakRef(dial));
      const untilMs = performance.now() + 6;
      while (performance.now() < untilMs);
    };
    queue.add({ run });
  };
  addSlow();
  for (let tick = 0; tick < 20; tick++) {
    addSlow();
    await new Promise(setImmediate);
  }
  t.ok(started.length >= 10);
  collectGarbage();
  const kept = started.filter((dial) => dial.deref() !== undefined);
  t.ok(kept.length <= 2, `${kept.length} of ${started.length} are kept`);
});
