/** One file of all that the programs are made of. */
import { dirname, join, relative } from 'node:path';
import { build, type Plugin } from 'esbuild';
import type { Manifest } from './workspace.ts';
import { built, readManifest, root } from './workspace.ts';

/** A package of which something went into the bundle. */
export interface BundledPackage extends Manifest {
  readonly directory: string;
}

export interface Bundle {
  /** CommonJS, which V8 can keep compiled code of. */
  readonly file: string;
  /** By name. */
  readonly packages: readonly BundledPackage[];
}

/** Puts the release in place of the module that has to ask for it otherwise. */
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
 * It is not minified: a stack in a log keeps its names and lines, and starting takes no longer. What is imported
 * with `import()` is in the bundle but runs when asked for. ws' natives are left out: no binary could load them.
 */
export async function makeBundle(file: string): Promise<Bundle> {
  const { metafile } = await build({
    entryPoints: [join(root, 'release/dist/entry.js')],
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
      .filter((directory) => relative(root, directory) !== 'release')
      .map((directory) => ({ ...readManifest(directory), directory }))
      .sort((one, other) => (one.name < other.name ? -1 : 1)),
  };
}

/** The nearest directory above a file whose package.json has a name: some have one for `"type"` alone. */
function packageDirectory(file: string): string {
  for (let directory = dirname(file); ; directory = dirname(directory)) {
    if (directory === dirname(directory)) throw new Error(`${file} is in no package`);
    try {
      if (readManifest(directory).name !== undefined) return directory;
    } catch {}
  }
}
