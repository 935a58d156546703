/** What is in the images, without Docker: the same commands copy the same files into a directory. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTemporaryDirectory, workspaceRoot } from '@fairlead/testkit';
import t from 'tap';

t.test('the image of the server contains fairlead, for status and why', async (t) => {
  const directory = await makeTemporaryDirectory();
  t.teardown(() => directory.close());
  const app = join(directory.path, 'app');
  const path = join(workspaceRoot, 'deploy/docker/server.Dockerfile');
  const dockerfile = readFileSync(path, 'utf8');
  const gathered = [...dockerfile.matchAll(/node (deploy\/docker\/gather\.mjs) (\S+) \/app/g)];
  for (const [, script = '', workspace = ''] of gathered) {
    execFileSync(process.execPath, [script, workspace, app], { cwd: workspaceRoot });
  }
  const link = /ln -s \/app\/(\S+) \/usr\/local\/bin\/fairlead\b/.exec(dockerfile)?.[1] ?? '';
  t.not(link, '', 'fairlead is in the PATH');
  for (const command of ['status', 'why']) {
    const help = execFileSync(process.execPath, [join(app, link), command, '--help'], {
      encoding: 'utf8',
    });
    t.match(help, new RegExp(`fairlead ${command}`));
  }
});
