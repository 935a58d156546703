/**
 * Copies one workspace and all that it needs at run time into a directory of its own:
 *
 *     node gather.mjs packages/server /app
 *
 * `npm ci --omit=dev --workspace` would also take the workspaces that are only needed for tests.
 * Every package lies directly in OUT/node_modules; two versions of one package are an error.
 */
import { cpSync, existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

const [, , workspace, out] = process.argv;
if (!workspace || !out) throw new Error('usage: gather.mjs WORKSPACE OUT');

/** What only a compiler or a debugger reads. */
const unneeded = /(\.map|\.d\.[cm]?ts|\.tsbuildinfo)$/;
const gathered = new Map();

gather(realpathSync(workspace));

function gather(directory) {
  const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  const known = gathered.get(manifest.name);
  if (known === directory) return;
  if (known) throw new Error(`${manifest.name} is needed twice: ${known} and ${directory}`);
  gathered.set(manifest.name, directory);
  copy(directory, manifest);
  for (const name of Object.keys(manifest.dependencies ?? {})) gather(find(name, directory));
}

function copy(directory, { name, files, workspaces }) {
  if (workspaces) throw new Error(`${name} is no package but the root of all`);
  const isOurs = !directory.includes(`${sep}node_modules${sep}`);
  cpSync(directory, join(out, 'node_modules', name), {
    recursive: true,
    filter(path) {
      const [first = ''] = relative(directory, path).split(sep);
      if (first === 'node_modules' || unneeded.test(path)) return false;
      return !isOurs || ['', 'package.json', 'bin', ...(files ?? ['dist'])].includes(first);
    },
  });
}

/** Where node would find a package, seen from `directory`. */
function find(name, directory) {
  for (let at = directory; ; at = dirname(at)) {
    const candidate = join(at, 'node_modules', name);
    if (existsSync(candidate)) return realpathSync(candidate);
    if (at === dirname(at)) throw new Error(`${name}, needed by ${directory}, is not installed`);
  }
}
