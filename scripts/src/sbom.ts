/** The bill of materials (CycloneDX): npm writes it, and what is not in the binary is taken out. */
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

/** As much of CycloneDX's format as is touched here. */
interface Sbom {
  readonly metadata: object;
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/**
 * What `npm sbom` says of everything that is installed. With `--omit dev` it leaves out what is wanted for the
 * programs and for development alike.
 */
export function readNpmSbom(): Sbom {
  const text = runTool('npm', ['sbom', '--sbom-format', 'cyclonedx'], { cwd: root });
  return JSON.parse(text) as Sbom;
}

/**
 * The bill of one binary: the packages in its bundle, and the Node build around it with what that is made of.
 * @throws if npm does not know a package that was bundled
 */
export function sbomOf(npm: Sbom, packages: readonly BundledPackage[], build: NodeBuild): Sbom {
  const components = packages.map(({ name, version }) => {
    // The name alone would not do: for packages of this repository it is that of their directory.
    const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
    const found = npm.components.find((component) => component.purl === purl);
    if (!found) throw new Error(`${purl} is in the bundle but not in npm's list`);
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

/** `process.versions` names OpenSSL, V8, nghttp2 and the rest; an ABI's number is no component. */
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
