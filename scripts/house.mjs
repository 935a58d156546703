/**
 * Measures the structure of all packages, and finds words to avoid in code and documentation. Prints each
 * measure, its limit, and the first places that exceed the limit.
 *
 *   node scripts/house.mjs [--check] [--all]
 *
 * --check exits with 1 if a limit is exceeded; --all prints every place.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('../', import.meta.url));
const places = process.argv.includes('--all') ? Number.POSITIVE_INFINITY : 8;

const limits = {
  packages: 12,
  folderFiles: 15,
  fileLines: 400,
  functionLines: 80,
};

/** Words to avoid. CONTRIBUTING.md has the rules. */
const words =
  /\b(nobody|whoever|somebody|anew|told of|is no good|come to its end|in the place of|by the way of|lets go of|as it were|in earnest|behaviours?|honour\w*|licence\w*|dialled)\b/gi;

const packages = readdirSync(join(root, 'packages'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  // A moved package can leave its dist folder behind.
  .filter((name) => existsSync(join(root, 'packages', name, 'package.json')));
const sources = packages
  .flatMap((name) => listFiles(join(root, 'packages', name, 'src')))
  .filter((path) => path.endsWith('.ts'));
const parsed = new Map(sources.map((path) => [path, parse(path)]));

function listFiles(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function parse(path) {
  const text = readFileSync(path, 'utf8');
  return ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
}

const shown = (path) => relative(root, path);
const lineOf = (file, at) => file.getLineAndCharacterOfPosition(at).line + 1;
const linesOf = (file) => lineOf(file, file.end);

/** Circles of imports. Imports of types alone do not count. */
function importCircles() {
  const imports = new Map(
    [...parsed].map(([path, file]) => [
      path,
      file.statements
        .filter((statement) => statement.moduleSpecifier && !isTypeOnly(statement))
        .map(({ moduleSpecifier }) => resolve(dirname(path), moduleSpecifier.text))
        .filter((target) => parsed.has(target)),
    ]),
  );
  const circles = new Map();
  const done = new Set();
  const visit = (path, trail) => {
    const at = trail.indexOf(path);
    if (at >= 0) {
      const circle = trail.slice(at);
      circles.set([...circle].sort().join(), circle.map(shown).join(' -> '));
    } else if (!done.has(path)) {
      for (const target of imports.get(path)) visit(target, [...trail, path]);
      done.add(path);
    }
  };
  for (const path of imports.keys()) visit(path, []);
  return [...circles.values()];
}

function isTypeOnly(statement) {
  const clause = statement.importClause ?? statement;
  const named = clause.namedBindings ?? statement.exportClause;
  return (
    clause.isTypeOnly ||
    (!clause.name && named?.elements?.length > 0 && named.elements.every((one) => one.isTypeOnly))
  );
}

function visitSources(onNode) {
  for (const file of parsed.values()) {
    const visit = (node) => {
      onNode(node, file);
      ts.forEachChild(node, visit);
    };
    visit(file);
  }
}

function longFunctions() {
  const found = [];
  visitSources((node, file) => {
    if (!ts.isFunctionLike(node) || !node.body) return;
    const start = lineOf(file, node.getStart());
    const lines = lineOf(file, node.end) - start + 1;
    if (lines <= limits.functionLines) return;
    const name = node.name?.getText() ?? node.parent.name?.getText() ?? 'function';
    found.push([lines, `${shown(file.fileName)}:${start} ${name} (${lines})`]);
  });
  return sorted(found);
}

function countTypes() {
  let count = 0;
  visitSources((node) => {
    if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) count++;
  });
  return count;
}

const sorted = (rows) => rows.sort(([a], [b]) => b - a).map(([, text]) => text);

function crowdedFolders() {
  const count = new Map();
  for (const path of sources) count.set(dirname(path), (count.get(dirname(path)) ?? 0) + 1);
  return sorted(
    [...count]
      .filter(([, files]) => files > limits.folderFiles)
      .map(([folder, files]) => [files, `${shown(folder)} (${files})`]),
  );
}

function longFiles() {
  return sorted(
    [...parsed.values()]
      .map((file) => [linesOf(file), `${shown(file.fileName)} (${linesOf(file)})`])
      .filter(([lines]) => lines > limits.fileLines),
  );
}

function hardWords() {
  const pages = [...listFiles(join(root, 'docs')), join(root, 'README.md')];
  const texts = [...sources, ...pages.filter((path) => path.endsWith('.md'))];
  return texts.flatMap((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .flatMap((line, at) =>
        [...line.matchAll(words)].map(([word]) => `${shown(path)}:${at + 1} ${word}`),
      ),
  );
}

/** Counts the files in ARCHITECTURE.md's picture under a heading. */
function filesInPicture(heading) {
  const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  const picture = new RegExp(`^## ${heading}\\n[^]*?\`\`\`mermaid\\n([^]*?)\`\`\``, 'm').exec(
    text,
  )?.[1];
  return picture && new Set(picture.match(/[\w-]+\/[\w/-]+\.ts/g)).size;
}

const measures = [
  ['packages', packages.length, limits.packages, []],
  ['import circles', ...counted(importCircles())],
  [`folders of more than ${limits.folderFiles} source files`, ...counted(crowdedFolders())],
  [`files of more than ${limits.fileLines} lines`, ...counted(longFiles())],
  [`functions of more than ${limits.functionLines} lines`, ...counted(longFunctions())],
  ['words to avoid', ...counted(hardWords())],
  ['files of one CONNECT', filesInPicture('One CONNECT') ?? 'no picture', 25, []],
  ['files of one DATA chunk', filesInPicture('One DATA chunk') ?? 'no picture', 18, []],
  ['named types', countTypes(), undefined, []],
  ['source files', sources.length, undefined, []],
  [
    'source lines',
    [...parsed.values()].reduce((sum, file) => sum + linesOf(file), 0),
    undefined,
    [],
  ],
];

function counted(found) {
  return [found.length, 0, found];
}

let exceeded = 0;
for (const [name, value, limit, found] of measures) {
  const isExceeded = limit !== undefined && !(value <= limit);
  if (isExceeded) exceeded++;
  const bound = limit === undefined ? '' : isExceeded ? `  LIMIT ${limit}` : `  (limit ${limit})`;
  console.log(`${String(value).padStart(10)}  ${name}${bound}`);
  for (const text of found.slice(0, places)) console.log(`              ${text}`);
  if (found.length > places) console.log(`              and ${found.length - places} more`);
}
if (process.argv.includes('--check') && exceeded > 0) process.exitCode = 1;
