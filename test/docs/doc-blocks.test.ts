import t from 'tap';
import { readDocPage } from './doc-blocks.ts';

const fence = '```';
const block = (code: string, language = 'sh') => `${fence}${language}\n${code}\n${fence}\n`;

t.test('runs blocks without a marker, and reads the markers of others', async (t) => {
  const page = readDocPage(
    'page.md',
    [
      block('fairlead --version'),
      `<!-- docs-test: suite=compose -->\n${block('docker compose up')}`,
      `<!-- docs-test: cannot-run: it needs a cluster -->\n\n${block('kubectl get pods')}`,
      `<!-- docs-test: background until=listening on -->\n${block('fairlead-server')}`,
      `<!-- docs-test: exit=2 -->\n${block('fairlead')}`,
      block('a: 1', 'yaml'),
    ].join('\n'),
  );
  t.same(page.problems, []);
  t.match(page.blocks, [
    { line: 1, code: 'fairlead --version', marker: { kind: 'run', exitCode: 0 } },
    { marker: { kind: 'suite', name: 'compose' } },
    { marker: { kind: 'cannot-run', reason: 'it needs a cluster' } },
    { marker: { kind: 'background', until: 'listening on' } },
    { marker: { kind: 'run', exitCode: 2 } },
  ]);
  t.equal(page.blocks.length, 5);
});

t.test('a marker applies to the next block, a page marker to all without one', async (t) => {
  const one = readDocPage('p', `<!-- docs-test: suite=vm -->\n${block('a')}\n${block('b')}`);
  t.same(
    one.blocks.map(({ marker }) => marker.kind),
    ['suite', 'run'],
  );
  const all = readDocPage(
    'p',
    `<!-- docs-test: page suite=vm -->\n${block('a')}\n<!-- docs-test: exit=1 -->\n${block('b')}`,
  );
  t.same(
    all.blocks.map(({ marker }) => marker.kind),
    ['suite', 'run'],
  );
  const separated = readDocPage('p', `<!-- docs-test: suite=vm -->\nText.\n\n${block('a')}`);
  t.same(separated.blocks[0]?.marker.kind, 'run', 'text separates a marker from the block');
});

t.test('reports commands that it would not run', async (t) => {
  const problems: Record<string, RegExp> = {
    [block('npm ci', 'bash')]: /p:1: .*`sh`, not `bash`/,
    [block('fairlead status', '')]: /p:1: this block has commands/,
    'Text:\n\n    fairlead status\n': /p:3: commands in an indented block/,
    [`<!-- docs-test: skip -->\n${block('a')}`]: /p:1: "docs-test: skip" is not a marker/,
    [`<!-- docs-test: cannot-run: no -->\n${block('a')}`]: /is not a marker/,
  };
  for (const [markdown, message] of Object.entries(problems)) {
    t.match(readDocPage('p', markdown).problems, [message], markdown);
  }
});

t.test("removes a list's indentation from a block", async (t) => {
  const page = readDocPage('p', '- do\n\n  ```sh\n  a\n    b\n  ```\n');
  t.same(page.blocks[0]?.code, 'a\n  b');
});
