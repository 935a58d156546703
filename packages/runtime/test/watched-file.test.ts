import { readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WatchedFile } from '@fairlead/runtime';
import t from 'tap';

t.test('edits, replacements, swapped links, and a file that goes and comes', async (t) => {
  const directory = t.testdir({ one: '1', two: 'two', three: 'three' });
  const at = (name: string) => join(directory, name);
  symlinkSync('one', at('link'));
  let told = () => {};
  const watch = new WatchedFile(at('link'), () => told(), 10);
  t.teardown(() => watch.close());
  // The watch itself does not keep the process up.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(() => clearInterval(alive));
  const content = () => {
    try {
      return readFileSync(at('link'), 'utf8');
    } catch {
      return undefined;
    }
  };
  const changedTo = (expected: string | undefined) =>
    new Promise<void>((resolve) => {
      told = () => {
        if (content() === expected) resolve();
      };
    });

  for (const [expected, change] of [
    ['edited', () => writeFileSync(at('one'), 'edited')],
    ['two', () => renameSync(at('two'), at('one'))],
    [
      'three',
      () => {
        symlinkSync('three', at('new'));
        renameSync(at('new'), at('link'));
      },
    ],
    [undefined, () => rmSync(at('three'))],
    ['back', () => writeFileSync(at('three'), 'back')],
  ] as const) {
    const changed = changedTo(expected);
    change();
    await changed;
    t.equal(content(), expected);
  }
});
