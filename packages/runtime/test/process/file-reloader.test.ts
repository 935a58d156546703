import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLogger, FileReloader } from '@fairlead/runtime/process';
import { UntimelyFilesError } from '@fairlead/runtime/tls';
import { Changes } from '@fairlead/testkit';
import { Registry } from 'prom-client';
import t, { type Test } from 'tap';

interface Watch {
  readonly reloader: FileReloader;
  readonly registry: Registry;
  /** The contents that were used, in order. */
  readonly used: string[];
  readonly warnings: { files: string; detail: string }[];
  readonly messages: string[];
  /** Waits until `isDone` is true. */
  until(isDone: () => boolean): Promise<void>;
}

/** Content that is not valid until `isValid` is set. */
const earlyFile = { text: 'early', isValid: false, reads: 0 };

/** Watches a file. Content that starts with `bad` is invalid. */
function watchFile(t: Test, path: string, intervalMs: number): Watch {
  const used: string[] = [];
  const warnings: Watch['warnings'] = [];
  const messages: string[] = [];
  const changes = new Changes();
  const logger = createLogger('info', {
    write(text) {
      const line = JSON.parse(text);
      messages.push(line.msg);
      if (line.level === 'warn') warnings.push(line);
      changes.notify();
    },
  });
  const registry = new Registry();
  const reloader = new FileReloader({ logger, intervalMs, registry, metricPrefix: 'x_' });
  t.teardown(() => reloader.close());
  reloader.add({
    name: 'policy',
    paths: [path],
    reload: () => {
      const text = readFileSync(path, 'utf8');
      if (text === earlyFile.text) {
        earlyFile.reads++;
        if (!earlyFile.isValid) throw new UntimelyFilesError(`${path}: too early`);
      }
      if (text.startsWith('bad')) throw new Error(`${path}: invalid`);
      used.push(text);
    },
  });
  return {
    reloader,
    registry,
    used,
    warnings,
    messages,
    until: async (isDone) => {
      await changes.until(isDone);
    },
  };
}

const never = 2 ** 30;

t.test('a rewritten file is reloaded', async (t) => {
  const path = join(t.testdir({ policy: 'one' }), 'policy');
  const { used, until } = watchFile(t, path, never);
  writeFileSync(path, 'two');
  await until(() => used.at(-1) === 'two');
});

t.test('a symbolic link that Kubernetes replaces is reloaded', async (t) => {
  const directory = t.testdir({ '..1': { policy: 'one' } });
  symlinkSync('..1', join(directory, '..data'));
  symlinkSync(join('..data', 'policy'), join(directory, 'policy'));
  const { used, until } = watchFile(t, join(directory, 'policy'), never);
  mkdirSync(join(directory, '..2'));
  writeFileSync(join(directory, '..2', 'policy'), 'two');
  symlinkSync('..2', join(directory, '..data_tmp'));
  renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
  await until(() => used.length > 0);
  t.same(used, ['two']);
});

t.test('a change without a file system event is found after the interval', async (t) => {
  const directory = t.testdir({ elsewhere: { policy: 'one' } });
  // A change of a link's target is not an event in the link's directory.
  mkdirSync(join(directory, 'watched'));
  symlinkSync('../elsewhere/policy', join(directory, 'watched', 'policy'));
  const { used, until } = watchFile(t, join(directory, 'watched', 'policy'), 20);
  writeFileSync(join(directory, 'elsewhere', 'policy'), 'two');
  await until(() => used.at(-1) === 'two');
});

t.test('an invalid file is logged once, and the previous one stays in use', async (t) => {
  const path = join(t.testdir({ policy: 'one' }), 'policy');
  const { reloader, registry, used, warnings } = watchFile(t, path, never);
  writeFileSync(path, 'bad');
  reloader.check();
  reloader.check();
  t.match(warnings, [{ files: 'policy', detail: `${path}: invalid` }]);
  t.equal(warnings.length, 1);
  t.same(used, []);
  writeFileSync(path, 'three');
  reloader.check();
  reloader.check();
  t.same(used, ['three']);
  t.match(await registry.metrics(), /x_file_reloads_total\{files="policy",outcome="refused"\} 1/);
  t.match(await registry.metrics(), /x_file_reloads_total\{files="policy",outcome="used"\} 1/);
});

t.test('a file that is not valid yet is logged once, and used when it is valid', async (t) => {
  const path = join(t.testdir({ policy: 'one' }), 'policy');
  const { reloader, registry, used, warnings } = watchFile(t, path, never);
  writeFileSync(path, earlyFile.text);
  reloader.check();
  reloader.check();
  t.match(warnings, [{ files: 'policy', detail: `${path}: too early` }]);
  t.equal(warnings.length, 1);
  t.equal(earlyFile.reads, 2);
  earlyFile.isValid = true;
  reloader.check();
  reloader.check();
  t.same(used, [earlyFile.text]);
  t.match(await registry.metrics(), /x_file_reloads_total\{files="policy",outcome="refused"\} 1/);
});

t.test('a deleted file is invalid, and is used when it exists again', async (t) => {
  const directory = t.testdir({ policy: 'one' });
  const path = join(directory, 'policy');
  const { reloader, used, warnings } = watchFile(t, path, never);
  renameSync(path, join(directory, 'away'));
  reloader.check();
  t.match(warnings, [{ detail: /ENOENT/ }]);
  writeFileSync(path, 'two');
  reloader.check();
  t.same(used, ['two']);
});

t.test('a check at the request of an operator says that no file has changed', async (t) => {
  const path = join(t.testdir({ policy: 'one' }), 'policy');
  const { reloader, messages } = watchFile(t, path, never);
  reloader.check();
  t.same(messages, ['no file has changed']);
  writeFileSync(path, 'two');
  reloader.check();
  t.same(messages, ['no file has changed', 'reloaded']);
});
