/**
 * Runs the commands of README.md in order in a fresh clone, which has only what is committed. The suite
 * `npm run test:clone` is separate because it installs all packages twice.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTemporaryDirectory, workspaceRoot } from '@fairlead/testkit';
import t from 'tap';
import { type DocBlock, readDocPage } from '../docs/doc-blocks.ts';
import { DocSession } from '../docs/doc-session.ts';

const demoIsUp = 'Ctrl-C ends everything.';

const directory = await makeTemporaryDirectory();
t.teardown(() => directory.close());
const clone = join(directory.path, 'fairlead');
execFileSync('git', ['clone', '--quiet', '--no-hardlinks', workspaceRoot, clone]);
const { blocks } = readDocPage('README.md', readFileSync(join(clone, 'README.md'), 'utf8'));
const session = await DocSession.startIn(clone);
t.teardown(() => session.close());

for (const block of blocks) {
  if (block.marker.kind === 'cannot-run') continue;
  t.test(`runs README.md:${block.line}`, { bail: true }, async (t) => {
    await runBlock(block);
    t.pass();
  });
}

async function runBlock({ code, marker }: DocBlock): Promise<void> {
  if (marker.kind === 'background') return session.runInBackground(code, marker.until);
  if (code.includes('npm start')) {
    await session.runInBackground(code, demoIsUp);
    // The next blocks need its ports.
    await session.endBackground();
    return;
  }
  const { code: exitCode, output } = await session.run(code);
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}:\n${code}\n${output}`);
}
