/** scripts/check-docs.mjs, which `npm run lint` runs on all pages: what it reports and what it accepts. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { workspaceRoot } from '@fairlead/testkit';
import t from 'tap';

const fence = '```';
const sh = (...commands: string[]) => [`${fence}sh`, ...commands, fence].join('\n');

/** Runs the checker. Without pages it checks the repository. */
function check(...pages: string[]) {
  const args = [join(workspaceRoot, 'scripts/check-docs.mjs'), ...pages];
  return spawnSync(process.execPath, args, { encoding: 'utf8' });
}

const broken = {
  'a link to a missing file': ['one\n\n[x](no-such.md)', /^3: no-such\.md: no such file/],
  'an image that is missing': ['![x](folder/no-such.svg)', /^1: folder\/no-such\.svg: no such/],
  'a reference to a missing file': ['[x]: no-such.md', /^1: no-such\.md: no such file/],
  'an anchor without a heading': [
    '[x](other.md#use)',
    /^1: other\.md#use: no such heading.*use-it/,
  ],
  'an anchor of the page itself': ['# Page\n\n[x](#pages)', /^3: #pages: no such heading.*page/],
  'a heading within a code block': [
    `${sh('# comment')}\n\n[x](#comment)`,
    /^5: #comment: no such heading/,
  ],
  'an unknown flag in a sentence': [
    'Set `--agent-prt`.',
    /^1: --agent-prt: no Fairlead program .* Did you mean --agent-port\?/,
  ],
  'an unknown flag in a table': [
    '| a | b |\n| --- | --- |\n| `--no-such-flag=1` | curl is named elsewhere |\n| x | `--other` |',
    /^4: --other: no Fairlead program has this flag\. Correct it, or name/,
  ],
  'an unknown flag in a manifest': ['```yaml\n- --no-such-flag\n```', /^2: --no-such-flag: no/],
  'a flag of another Fairlead program': [
    sh('fairlead-agent \\', '  --uds-name=x'),
    /^2: --uds-name: fairlead-agent has no such flag/,
  ],
  'a flag of another subcommand': [
    sh('npx fairlead pki issue agent --ca x --ttl 1h'),
    /^2: --ttl: fairlead pki issue has no such flag/,
  ],
  'a command of an unknown program': [sh('frobnicate --fast'), /^2: frobnicate: not a known/],
} as const;

const valid = [
  '# Page',
  '[x](other.md) [x](other.md#use-it) [x](other.md#use-it-1) [x](other.md#a-link-and-more)',
  '[x](#page) [x](folder) [x](folder/file.txt "title") [x](https://host.example/no-such.md)',
  '`[x](no-such.md)`',
  '',
  'Flags: `--agent-port=1`, `--keepalive-time`, `--log-dir`, `--ttl` and `--help`.',
  "kube-apiserver's `--egress-selector-config-file`, in `npm run bench -- --list`.",
  '',
  '<!-- a comment with --no-such-flag -->',
  sh(
    'sudo -u fairlead fairlead token create --token-dir x # --no-such-flag',
    'X=1 npx fairlead-server --log-dir=x --help && curl --fail x | docker run --rm y',
    'kubectl create secret generic fairlead-server --from-file=x',
  ),
].join('\n');

t.test('reports broken links, broken anchors and unknown flags', async (t) => {
  const pages = [valid, ...Object.values(broken).map(([page]) => page)];
  const directory = t.testdir({
    ...Object.fromEntries(pages.map((page, index) => [`page-${index}.md`, page])),
    'other.md': '# Other\n\n## Use `it`\n\n## Use it\n\n### A [link](page.md), and *more*\n',
    folder: { 'file.txt': '' },
  });
  const { status, stderr } = check(...pages.map((_, index) => join(directory, `page-${index}.md`)));
  t.equal(status, 1);
  const problemsOf = (index: number) =>
    [...stderr.matchAll(new RegExp(`page-${index}\\.md:(.*)`, 'g'))].map(([, problem]) => problem);
  t.same(problemsOf(0), [], 'accepts working links and existing flags');
  for (const [index, [name, [, problem]]] of Object.entries(broken).entries()) {
    const problems = problemsOf(index + 1);
    t.equal(problems.length, 1, `reports ${name} once`);
    t.match(problems[0], problem);
  }
});

t.test('finds nothing wrong with the pages of this repository', async (t) => {
  const { status, stdout, stderr } = check();
  t.equal(stderr, '');
  t.equal(status, 0);
  t.ok(Number(/(\d+) pages/.exec(stdout)?.[1]) > 15, stdout);
});
