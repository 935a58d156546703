/**
 * Every command in README.md and docs/ works as printed, or names the suite that runs it. doc-blocks.ts
 * explains how to mark a command that cannot run here.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { workspaceRoot } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { type DocBlock, type DocPage, readDocPage } from './doc-blocks.ts';
import { DocSession } from './doc-session.ts';

const pages = [
  'README.md',
  ...readdirSync(join(workspaceRoot, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
];

const scripts = Object.keys(
  JSON.parse(readFileSync(join(workspaceRoot, 'package.json'), 'utf8')).scripts,
);
const testFiles = readdirSync(join(workspaceRoot, 'test'), { recursive: true }).map(String);

for (const name of pages) {
  const page = readDocPage(name, readFileSync(join(workspaceRoot, name), 'utf8'));
  t.test(`the commands in ${name} work`, async (t) => {
    t.same(page.problems, []);
    checkSuites(t, name, page);
    await runPage(t, name, page);
  });
}

function checkSuites(t: Test, name: string, { blocks }: DocPage): void {
  for (const { marker, line } of blocks) {
    if (marker.kind !== 'suite') continue;
    const exists =
      scripts.includes(`test:${marker.name}`) ||
      testFiles.some((file) => relative('.', file).includes(marker.name));
    t.ok(
      exists,
      `${name}:${line}: suite=${marker.name} is a script test:${marker.name} or a file in test/`,
    );
  }
}

/** Runs the blocks of a page in one session, so each block can use the results of earlier ones. */
async function runPage(t: Test, name: string, { blocks }: DocPage): Promise<void> {
  const runnable = blocks.filter(({ marker }) => ['run', 'background'].includes(marker.kind));
  if (runnable.length === 0) return;
  const session = await DocSession.start();
  t.teardown(() => session.close());
  for (const block of runnable) {
    const location = `${name}:${block.line}`;
    const problem = await runBlock(session, block);
    t.equal(
      problem,
      undefined,
      problem === undefined
        ? location
        : `${location}: does not work as printed; if it cannot run here, mark it (test/docs/doc-blocks.ts)`,
    );
    // Later blocks depend on this one.
    if (problem !== undefined) return;
  }
}

async function runBlock(session: DocSession, block: DocBlock): Promise<string | undefined> {
  const { code, marker } = block;
  if (marker.kind === 'background') {
    try {
      await session.runInBackground(code, marker.until);
      return undefined;
    } catch (error) {
      return `${code}\n${(error as Error).message}`;
    }
  }
  const expected = marker.kind === 'run' ? marker.exitCode : 0;
  const result = await session.run(code);
  if (result.code === expected) return undefined;
  return `${code}\nexit code ${result.code ?? 'none, killed because it took too long'}, not ${expected}:\n${result.output}`;
}
