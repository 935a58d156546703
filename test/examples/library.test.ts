/** The example of createServer and createAgent as libraries. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  makeFairleadPki,
  makeTemporaryDirectory,
  startPodTarget,
  workspaceRoot,
} from '@fairlead/testkit';
import t from 'tap';

const run = promisify(execFile);
const example = join(workspaceRoot, 'examples/dist/library-main.js');

t.test('sends a request through a server and an agent in its own process', async (t) => {
  const directory = await makeTemporaryDirectory();
  t.teardown(() => directory.close());
  await makeFairleadPki(directory.path);
  const target = await startPodTarget({ host: '127.0.0.1', port: 0 });
  t.teardown(() => target.close());
  const url = `http://127.0.0.1:${target.port}/healthz`;
  const { stdout, stderr } = await run(process.execPath, [example, directory.path, url]);
  t.equal(stdout, `200 from ${url} through the tunnel of node-1\n`);
  t.equal(stderr, '');
});

t.test('prints its usage without arguments', async (t) => {
  await t.rejects(run(process.execPath, [example]), { code: 2, stderr: /^usage: / });
});
