/** The flags of each Fairlead program, read from the source of its option table. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import ts from 'typescript';

/** Flags that `runCommand` and `runProgram` add to every table. */
const always = ['help', 'version'];

/**
 * @param root the repository
 * @returns {Map<string, Set<string>>} flags without dashes, by program (`fairlead-server`, `fairlead pki init`)
 */
export function readOptionTables(root) {
  const files = sourcesOf(join(root, 'packages'))
    .map((path) => ({ path, text: readFileSync(path, 'utf8') }))
    .filter(({ text }) => /\boption\(|\bignoredOption\(|\bdefineOptions\(/.test(text))
    .map(({ path, text }) => ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true));
  /** Object literals by `PATH NAME`, and by NAME for imports from another package. */
  const constants = new Map();
  const tables = [];
  for (const file of files) {
    visit(file, (node) => {
      if (ts.isVariableDeclaration(node) && node.initializer) {
        const value = unwrap(node.initializer);
        if (ts.isObjectLiteralExpression(value)) {
          const name = node.name.getText();
          constants.set(`${file.fileName} ${name}`, value);
          constants.set(name, value);
        }
      }
      if (ts.isCallExpression(node) && node.expression.getText() === 'defineOptions') {
        tables.push(node.arguments[0]);
      }
    });
  }
  return new Map(
    tables.map((table) => [
      propertyOf(table, 'program').text,
      new Set([...namesIn(propertyOf(table, 'options'), constants), ...always]),
    ]),
  );
}

function sourcesOf(packages) {
  return readdirSync(packages, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => /^[^/]+\/src\//.test(path.slice(packages.length + 1)))
    .filter((path) => !path.endsWith('.d.ts'));
}

function visit(node, onNode) {
  onNode(node);
  ts.forEachChild(node, (child) => visit(child, onNode));
}

/** Removes `as const` and `satisfies T`. */
function unwrap(node) {
  return ts.isAsExpression(node) || ts.isSatisfiesExpression(node) ? unwrap(node.expression) : node;
}

function propertyOf(object, name) {
  const property = object.properties.find((each) => each.name?.getText() === name);
  return property && unwrap(property.initializer);
}

/** The names in an object of options, in the objects that it spreads, and in the arguments of a call. */
function namesIn(node, constants) {
  if (ts.isIdentifier(node)) {
    const value = resolveName(node, constants);
    if (!value) throw new Error(`${node.getSourceFile().fileName}: ${node.text}: no such options`);
    return namesIn(value, constants);
  }
  if (ts.isCallExpression(node)) {
    return node.arguments.flatMap((each) =>
      ts.isObjectLiteralExpression(each) ? namesIn(each, constants) : [],
    );
  }
  return node.properties.flatMap((property) =>
    ts.isSpreadAssignment(property)
      ? namesIn(unwrap(property.expression), constants)
      : [property.name.text],
  );
}

/** Finds an identifier's object in its own file, in the file that it is imported from, or in a package. */
function resolveName(node, constants) {
  const file = node.getSourceFile();
  const own = constants.get(`${file.fileName} ${node.text}`);
  if (own) return own;
  const from = file.statements.find(
    (statement) =>
      ts.isImportDeclaration(statement) &&
      statement.importClause?.namedBindings?.elements?.some(({ name }) => name.text === node.text),
  )?.moduleSpecifier.text;
  if (!from?.startsWith('.')) return constants.get(node.text);
  return constants.get(`${resolve(dirname(file.fileName), from)} ${node.text}`);
}
