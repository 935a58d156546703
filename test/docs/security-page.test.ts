import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Caller, FrontEndPolicy } from '@fairlead/server/internal';
import { workspaceRoot } from '@fairlead/testkit';
import t from 'tap';

const page = readFileSync(join(workspaceRoot, 'docs/security.md'), 'utf8');

/** The paths of the tests in a cell: names, "name, name in `folder`" for another folder, or a whole folder. */
function pathsOf(cell: string): string[] {
  const parts = cell.split(', ');
  let folder = 'test/security';
  // A folder follows the last of its tests, so the cell is read from its end.
  return parts.reverse().map((part) => {
    const [, name = '', other] = /^(\S+)(?: in `(\S+)`)?$/.exec(part) ?? [];
    if (name.startsWith('`')) return `${name.slice(1, -1)}/${name.slice(6, -1)}.test.ts`;
    if (other !== undefined) folder = other;
    const path = `${folder}/${name}.test.ts`;
    return existsSync(join(workspaceRoot, path)) ? path : `test/security/${name}.test.ts`;
  });
}

t.test('each row of the threat model names a test that exists', async (t) => {
  const begin = page.indexOf('| attack | protection | test |');
  const rows = page.slice(begin, page.indexOf('\n\n', begin)).split('\n').slice(2);
  t.ok(rows.length > 15);
  for (const row of rows) {
    const cells = row.split('|').map((cell) => cell.trim());
    const paths = pathsOf(cells[3]!);
    t.ok(paths.length > 0);
    for (const path of paths) t.ok(existsSync(join(workspaceRoot, path)), `${path} (${cells[1]})`);
  }
});

t.test('the example of a front-end policy is one', async (t) => {
  const [, example = ''] = /^```yaml\n(rules:[\s\S]*?)^```$/m.exec(page) ?? [];
  const path = join(t.testdir({ 'policy.yaml': example }), 'policy.yaml');
  const policy = FrontEndPolicy.read({ flag: '--frontend-policy', path });
  const isAllowed = (kind: Caller['kind'], organizations: string[], host: string, port: number) =>
    policy.decide({ kind, organizations, address: '' }, { host, port }).isAllowed;
  t.ok(isAllowed('mtls', ['monitoring'], 'a.metrics.example', 9100));
  t.notOk(isAllowed('mtls', ['monitoring'], 'secret.metrics.example', 9100));
  t.ok(isAllowed('uds', [], '10.96.0.1', 443));
});
