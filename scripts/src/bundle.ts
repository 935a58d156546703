/** Bundles all programs into one file. */
import { dirname, join, relative } from 'node:path';
import { build, type Plugin } from 'esbuild';
import type { Manifest } from './workspace.ts';
import { built, readManifest, root } from './workspace.ts';

/** A package that contributed code to the bundle. */
export interface BundledPackage extends Manifest {
  readonly directory: string;
}

export interface Bundle {
  /** CommonJS, because V8 can cache its compiled code. */
  readonly file: string;
  /** By name. */
  readonly packages: readonly BundledPackage[];
}

/** Replaces the module that reads version and commit at run time with constants. */
const stampPlugin: Plugin = {
  name: 'build-stamp',
  setup: (on) =>
    on.onLoad({ filter: /runtime\/dist\/process\/build-stamp\.js$/ }, () => ({
      contents: `export const buildStamp = ${JSON.stringify(built)};`,
    })),
};

/**
 * Bundles what `tsc -b` has compiled.
 *
 * The bundle is not minified: stack traces in logs keep names and lines, and the start is as fast. Modules behind
 * `import()` are in the bundle but run on demand. The native add-ons of ws are omitted because a binary cannot load them.
 */
export async function makeBundle(file: string): Promise<Bundle> {
  const { metafile } = await build({
    entryPoints: [join(root, 'scripts/dist/entry.js')],
    absWorkingDir: root,
    outfile: file,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    keepNames: true,
    legalComments: 'none',
    logLevel: 'warning',
    logOverride: { 'empty-import-meta': 'silent' },
    define: {
      'process.env.WS_NO_BUFFER_UTIL': '"1"',
      'process.env.WS_NO_UTF_8_VALIDATE': '"1"',
    },
    plugins: [stampPlugin],
    metafile: true,
  });
  const [output] = Object.values(metafile.outputs);
  const inputs = Object.entries(output!.inputs).filter(
    ([, { bytesInOutput }]) => bytesInOutput > 0,
  );
  const directories = new Set(inputs.map(([path]) => packageDirectory(join(root, path))));
  return {
    file,
    packages: [...directories]
      .filter((directory) => relative(root, directory) !== 'scripts')
      .map((directory) => ({ ...readManifest(directory), directory }))
      .sort((one, other) => (one.name < other.name ? -1 : 1)),
  };
}

/** The nearest directory above a file whose package.json has a name. Some package.json files contain only `"type"`. */
function packageDirectory(file: string): string {
  for (let directory = dirname(file); ; directory = dirname(directory)) {
    if (directory === dirname(directory)) throw new Error(`${file} is in no package`);
    try {
      if (readManifest(directory).name !== undefined) return directory;
    } catch {}
  }
}
