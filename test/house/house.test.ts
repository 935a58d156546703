/** `npm run house`: limits for the structure of the code, and words that must not be used. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { workspaceRoot } from '@fairlead/testkit';
import t from 'tap';

const run = promisify(execFile);

t.test('no measure of `npm run house` exceeds its limit', async (t) => {
  const script = join(workspaceRoot, 'scripts/house.mjs');
  const { stdout } = await run(process.execPath, [script, '--check']).catch((failure) => failure);
  const rows = stdout.split('\n').filter((line: string) => /^ *\d+ {2}\w/.test(line));
  t.ok(rows.length >= 8, 'the script prints its measures');
  for (const row of rows) t.notMatch(row, /LIMIT/, row.trim());
});
