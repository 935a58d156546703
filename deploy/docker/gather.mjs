/**
 * Copies one workspace and its run-time dependencies into a directory:
 *
 *     node gather.mjs packages/server /app [PACKAGE-TO-LEAVE-OUT...]
 *
 * `npm ci --omit=dev --workspace` would also copy the workspaces that only tests need.
 * Packages go to OUT/node_modules. A second version of a package goes below the package that needs it.
 */
import { cpSync, existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

const [, , workspace, out, ...leftOut] = process.argv;
if (!workspace || !out)
  throw new Error('usage: gather.mjs WORKSPACE OUT [PACKAGE-TO-LEAVE-OUT...]');

/** Files that only compilers and debuggers read. */
const unneeded = /(\.map|\.d\.[cm]?ts|\.tsbuildinfo)$/;
const gathered = new Map();

gather(realpathSync(workspace), out);

/** @param neededBy the destination of the package that depends on this one */
function gather(directory, neededBy) {
  const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  const { name, dependencies = {} } = manifest;
  // Some packages list types as run-time dependencies.
  if (name.startsWith('@types/') || leftOut.includes(name)) return;
  const known = gathered.get(name);
  if (known === directory) return;
  if (!known) gathered.set(name, directory);
  const destination = join(known ? neededBy : out, 'node_modules', name);
  if (existsSync(destination)) return;
  copy(directory, manifest, destination);
  for (const dependency of Object.keys(dependencies))
    gather(find(dependency, directory), destination);
}

function copy(directory, { name, files, workspaces }, destination) {
  if (workspaces)
    throw new Error(`${name}: this is the root of all workspaces. Name one workspace.`);
  const isOurs = !directory.includes(`${sep}node_modules${sep}`);
  cpSync(directory, destination, {
    recursive: true,
    filter(path) {
      const [first = ''] = relative(directory, path).split(sep);
      if (first === 'node_modules' || unneeded.test(path)) return false;
      return !isOurs || ['', 'package.json', 'bin', ...(files ?? ['dist'])].includes(first);
    },
  });
}

/** Finds a package as Node does for a module in `directory`. */
function find(name, directory) {
  for (let at = directory; ; at = dirname(at)) {
    const candidate = join(at, 'node_modules', name);
    if (existsSync(candidate)) return realpathSync(candidate);
    if (at === dirname(at))
      throw new Error(`${name}: ${directory} needs it, and it is not installed. Run npm ci.`);
  }
}
