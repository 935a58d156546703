/** The bill of materials (CycloneDX): npm's, reduced to what a binary contains. */
import type { BundledPackage } from './bundle.ts';
import { fetchNode, makerOf, type NodeBuild } from './node-builds.ts';
import { runTool } from './run-tool.ts';
import { built, root } from './workspace.ts';

interface Component {
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly 'bom-ref'?: string;
  readonly purl?: string;
  readonly components?: readonly Component[];
}

/** The fields of CycloneDX that this module uses. */
interface Sbom {
  readonly metadata: object;
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/**
 * The bill of materials of everything installed. `npm sbom --omit dev` would omit packages that both the programs and
 * development need.
 */
export function readNpmSbom(): Sbom {
  const text = runTool('npm', ['sbom', '--sbom-format', 'cyclonedx'], { cwd: root });
  return JSON.parse(text) as Sbom;
}

/**
 * The bill of materials of one binary: the packages in its bundle, and the Node build with its components.
 * @throws Error if npm's list lacks a bundled package
 */
export function sbomOf(npm: Sbom, packages: readonly BundledPackage[], build: NodeBuild): Sbom {
  const components = packages.map(({ name, version }) => {
    // The name is ambiguous: for packages of this repository, npm gives the directory's name.
    const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
    const found = npm.components.find((component) => component.purl === purl);
    if (!found) throw new Error(`${purl}: in the bundle but not in npm's list`);
    return found;
  });
  const node = nodeComponent(build);
  const refs = new Set([...components, node].map((component) => component['bom-ref']!));
  const ref = `fairlead@${built.version}`;
  return {
    ...npm,
    metadata: {
      ...npm.metadata,
      component: {
        'bom-ref': ref,
        type: 'application',
        name: 'fairlead',
        version: built.version,
        licenses: [{ license: { id: 'Apache-2.0' } }],
        properties: [
          { name: 'fairlead:platform', value: build.platform },
          ...(built.commit ? [{ name: 'fairlead:commit', value: built.commit }] : []),
        ],
      },
    },
    components: [...components, node],
    dependencies: [
      { ref, dependsOn: [...refs] },
      ...npm.dependencies
        .filter((entry) => refs.has(entry.ref))
        .map((entry) => ({ ...entry, dependsOn: entry.dependsOn.filter((on) => refs.has(on)) })),
      { ref: node['bom-ref']!, dependsOn: [] },
    ],
  };
}

/** `process.versions` lists OpenSSL, V8, nghttp2 and others. `modules` is an ABI number, not a component. */
function nodeComponent(build: NodeBuild): Component {
  const versions = JSON.parse(
    runTool(fetchNode(makerOf(build.version)), ['-p', 'JSON.stringify(process.versions)']),
  ) as Readonly<Record<string, string>>;
  const parts = Object.entries(versions).filter(([name]) => name !== 'node' && name !== 'modules');
  return {
    type: 'framework',
    'bom-ref': `node@${build.version}`,
    name: 'node',
    version: build.version,
    purl: `pkg:npm/${build.package}@${build.version}`,
    components: parts.map(([name, version]) => ({
      type: 'library',
      'bom-ref': `node@${build.version}/${name}@${version}`,
      name,
      version,
    })),
  };
}
