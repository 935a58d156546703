/**
 * Checks the documentation against the repository: every relative link leads to a file, every `#anchor` to
 * a heading, and every `--flag` is an option of a Fairlead program, or of another tool that its line names.
 *
 *   node scripts/check-docs.mjs [PAGE...]
 *
 * Without arguments it checks all pages. It needs no build. The exit code is 1 if something is wrong.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readOptionTables } from './option-tables.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));

/** Other programs, whose flags this check does not know. In prose, only `namedTools` are recognized without backquotes. */
const namedTools = (
  'actionlint codesign curl docker kube-apiserver kubeadm kubectl kustomize npm openssl systemctl ' +
  'systemd-analyze'
).split(' ');
const otherTools = [
  ...namedTools,
  ...'apt apt-get docker-compose dpkg git go install journalctl node npx useradd'.split(' '),
];
/** Names that stand for any flag. */
const placeholders = new Set(['flag']);

const tables = readOptionTables(root);
const allFlags = new Set([...tables.values()].flatMap((flags) => [...flags]));
const namesTool = new RegExp(
  `(?<![\\w.-])(?:${namedTools.join('|')})(?![\\w-])|\`(?:${otherTools.join('|')}) |node with --`,
);

function allPages() {
  const pages = ['README.md', 'ARCHITECTURE.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md'];
  const folders = ['docs', '.github'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name)),
  );
  const packages = readdirSync(join(root, 'packages')).map((name) => `packages/${name}/README.md`);
  return [...pages, 'bench/README.md', ...folders, ...packages]
    .map((page) => join(root, page))
    .filter((path) => existsSync(path));
}

/** @returns the lines of a page, each with its number and its kind: `prose`, `code`, `sh` or `fence` */
function readLines(path) {
  let fence;
  return readFileSync(path, 'utf8')
    .replace(/<!--[\s\S]*?-->/g, (comment) => comment.replace(/[^\n]/g, ''))
    .split('\n')
    .map((text, index, lines) => {
      const [, ticks, language] = /^\s*(`{3,}|~{3,})(\S*)/.exec(text) ?? [];
      if (fence ? ticks === fence.ticks : ticks) {
        fence = fence ? undefined : { ticks, language };
        return { line: index + 1, kind: 'fence', text };
      }
      if (fence) return { line: index + 1, kind: fence.language === 'sh' ? 'sh' : 'code', text };
      const isIndented = /^ {4,}/.test(text) && !isListText(lines, index);
      return { line: index + 1, kind: isIndented ? 'code' : 'prose', text };
    });
}

/** Whether an indented line continues a list instead of being code. */
function isListText(lines, index) {
  for (let at = index; at >= 0; at--) {
    if (/^ {0,8}(?:[-*]|\d+\.)\s/.test(lines[at])) return true;
    if (lines[at].trim() !== '' && !lines[at].startsWith(' ')) return false;
  }
  return false;
}

/** GitHub's rule for the anchor of a heading. */
function slugOf(heading) {
  const text = heading
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/[*`]/g, '')
    .trim();
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '')
    .replaceAll(' ', '-');
}

const anchorsByPage = new Map();

function anchorsOf(path) {
  const known = anchorsByPage.get(path);
  if (known) return known;
  const anchors = new Set();
  for (const { kind, text } of readLines(path)) {
    const heading = kind === 'prose' && /^#{1,6}\s+(.*?)\s*#*$/.exec(text)?.[1];
    if (!heading) continue;
    const slug = slugOf(heading);
    let anchor = slug;
    for (let count = 1; anchors.has(anchor); count++) anchor = `${slug}-${count}`;
    anchors.add(anchor);
  }
  anchorsByPage.set(path, anchors);
  return anchors;
}

function checkLinks(path, lines, complain) {
  for (const { line, kind, text } of lines) {
    if (kind !== 'prose') continue;
    const plain = text.replace(/`[^`]*`/g, (code) => ' '.repeat(code.length));
    const links = [...plain.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\s*\[[^\]]+\]:\s*(\S+)/g)];
    for (const [, inline, reference] of links) {
      const link = inline ?? reference;
      if (!/^(?:[a-z][a-z0-9+.-]*:|\/\/)/i.test(link)) checkLink(path, line, link, complain);
    }
  }
}

function checkLink(path, line, link, complain) {
  const [file, anchor] = link.split('#').map(decodeURIComponent);
  const target = file === '' ? path : resolve(dirname(path), file);
  if (!existsSync(target)) {
    complain(line, `${link}: no such file. Correct the path, relative to ${shown(dirname(path))}/`);
  } else if (anchor !== undefined && target.endsWith('.md') && !anchorsOf(target).has(anchor)) {
    const headings = [...anchorsOf(target)].join(', ');
    complain(line, `${link}: no such heading. The anchors of ${shown(target)} are: ${headings}`);
  }
}

const flagsIn = (text) =>
  [...text.matchAll(/(?<![\w-])--([a-z][a-z0-9-]*)/g)].map(([, name]) => name);

function checkFlags(lines, complain) {
  for (const { line, text, isCommand, context } of passages(lines)) {
    if (isCommand) {
      checkCommands(text, (problem) => complain(line, problem));
      continue;
    }
    for (const name of flagsIn(text)) {
      if (allFlags.has(name) || placeholders.has(name) || namesTool.test(context)) continue;
      complain(line, unknown(name));
    }
  }
}

/** Texts that can contain flags. `context` can name their tool: a table row, a line of code or a paragraph. */
function passages(lines) {
  const found = [];
  for (let at = 0; at < lines.length; at++) {
    const { line, kind, text } = lines[at];
    if (kind === 'sh') {
      let command = text;
      while (command.endsWith('\\') && lines[at + 1]?.kind === 'sh') {
        command = `${command.slice(0, -1)} ${lines[++at].text}`;
      }
      found.push({ line, text: command.replace(/(?:^|\s)#.*$/, ''), isCommand: true });
    } else if (kind === 'code' || (kind === 'prose' && text.startsWith('|'))) {
      found.push({ line, text, context: text });
    } else if (kind === 'prose') {
      found.push({ line, text, context: paragraphAt(lines, at) });
    }
  }
  return found;
}

function paragraphAt(lines, at) {
  const isPart = (each) =>
    each?.kind === 'prose' && each.text.trim() !== '' && !each.text.startsWith('|');
  const beginsItem = (each) => /^\s*(?:[-*]|\d+\.)\s/.test(each.text);
  let first = at;
  while (!beginsItem(lines[first]) && isPart(lines[first - 1])) first--;
  let last = at;
  while (isPart(lines[last + 1]) && !beginsItem(lines[last + 1])) last++;
  return lines
    .slice(first, last + 1)
    .map(({ text }) => text)
    .join(' ');
}

/** Checks that each command of a shell line has only flags of its program. */
function checkCommands(text, complain) {
  for (const command of text.split(/&&|\|\||[|;]/)) {
    const words = command
      .trim()
      .replace(/^sudo(?:\s+-u\s+\S+)?\s+/, '')
      .replace(/^(?:[A-Z_]+=\S*\s+)+/, '')
      .replace(/^npx\s+(?=fairlead)/, '')
      .split(/\s+/);
    const flags = flagsIn(words.join(' '));
    if (flags.length === 0) continue;
    const program = programOf(words);
    if (program === undefined && !otherTools.includes(words[0])) {
      complain(
        `${words[0]}: not a known program. Correct it, or add it to otherTools in scripts/check-docs.mjs`,
      );
    } else if (program !== undefined) {
      for (const name of flags) {
        if (!tables.get(program).has(name)) complain(unknown(name, program));
      }
    }
  }
}

/** The longest program name that the words begin with; undefined for other tools. */
function programOf(words) {
  return [3, 2, 1].map((count) => words.slice(0, count).join(' ')).find((name) => tables.has(name));
}

function unknown(name, program) {
  const fault = program ? `${program} has no such flag` : 'no Fairlead program has this flag';
  const near = [...(tables.get(program) ?? allFlags)].filter((flag) => isNear(flag, name));
  const cure =
    near.length > 0
      ? `Did you mean ${near.map((flag) => `--${flag}`).join(' or ')}?`
      : 'Correct it, or name its tool in the same paragraph';
  return `--${name}: ${fault}. ${cure}`;
}

/** Whether two names differ in at most one letter. */
function isNear(one, other) {
  if (Math.abs(one.length - other.length) > 1) return false;
  let begin = 0;
  while (begin < one.length && one[begin] === other[begin]) begin++;
  let end = 0;
  const most = Math.min(one.length, other.length) - begin;
  while (end < most && one.at(-1 - end) === other.at(-1 - end)) end++;
  return Math.max(one.length, other.length) - begin - end <= 1;
}

const shown = (path) => relative(root, path) || '.';

const given = process.argv.slice(2).map((path) => resolve(path));
const pages = given.length > 0 ? given : allPages();
let problems = 0;
for (const path of pages) {
  const lines = readLines(path);
  const complain = (line, text) => {
    problems++;
    console.error(`${shown(path)}:${line}: ${text}`);
  };
  checkLinks(path, lines, complain);
  checkFlags(lines, complain);
}
console.log(`check-docs: ${pages.length} pages, ${problems} problems`);
if (problems > 0) process.exitCode = 1;
