/** `npm run build:deb`: makes a Debian package of each Linux binary in dist-binaries with dpkg-deb. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { writeChecksums } from './checksums.ts';
import { hasTool, runTool } from './run-tool.ts';
import { built, inMegabytes, outputDirectory, root } from './workspace.ts';

/** Debian's architecture names. */
const architectures = { 'linux-x64': 'amd64', 'linux-arm64': 'arm64' } as const;

const maintainer = 'Fairlead maintainers <maintainers@fairlead.invalid>';

if (!hasTool('dpkg-deb')) {
  process.stderr.write(
    'build:deb: dpkg-deb not found. Run it on Debian or Ubuntu, or install the package dpkg.\n',
  );
  process.exit(1);
}
for (const [platform, architecture] of Object.entries(architectures)) {
  const binaries = join(outputDirectory, platform);
  if (existsSync(binaries)) buildPackage(binaries, architecture);
}
await writeChecksums(outputDirectory);

function buildPackage(binaries: string, architecture: string): void {
  const tree = mkdtempSync(join(tmpdir(), 'fairlead-deb-'));
  try {
    chmodSync(tree, 0o755);
    layOut(tree, binaries);
    writeControl(tree, architecture);
    const file = join(outputDirectory, `fairlead_${built.version}_${architecture}.deb`);
    // Every supported Debian and Ubuntu unpacks xz.
    runTool('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', tree, file]);
    process.stdout.write(`${relative(root, file)}: ${inMegabytes(file)}\n`);
  } finally {
    rmSync(tree, { recursive: true });
  }
}

function layOut(tree: string, binaries: string): void {
  const put = (source: string, path: string, mode = 0o644): void => {
    const target = join(tree, path);
    mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
    copyFileSync(source, target);
    chmodSync(target, mode);
  };
  const deploy = join(root, 'deploy');
  put(join(binaries, 'fairlead'), 'usr/bin/fairlead', 0o755);
  for (const program of ['server', 'agent']) {
    symlinkSync('fairlead', join(tree, `usr/bin/fairlead-${program}`));
    put(join(deploy, 'config', `${program}.yaml`), `etc/fairlead/${program}.yaml`);
  }
  put(join(deploy, 'config/issuer.yaml'), 'etc/fairlead-issuer/issuer.yaml');
  for (const program of ['server', 'agent', 'issuer']) {
    const unit = `fairlead-${program}.service`;
    put(join(deploy, 'systemd', unit), `lib/systemd/system/${unit}`);
  }
  put(join(deploy, 'deb/lintian-overrides'), 'usr/share/lintian/overrides/fairlead');
  const docs = 'usr/share/doc/fairlead';
  for (const page of ['install-vm.md', 'configuration.md', 'operations.md', 'pki.md']) {
    put(join(root, 'docs', page), join(docs, page));
  }
  put(join(binaries, 'sbom.cdx.json'), join(docs, 'sbom.cdx.json'));
  put(join(binaries, 'THIRD-PARTY-LICENSES.txt'), join(docs, 'THIRD-PARTY-LICENSES.txt'));
  const write = (name: string, content: string | Buffer): void => {
    writeFileSync(join(tree, docs, name), content, { mode: 0o644 });
  };
  write('copyright', copyright());
  write('changelog.gz', gzipSync(changelog(), { level: 9 }));
}

function writeControl(tree: string, architecture: string): void {
  const control = join(tree, 'DEBIAN');
  const files = readdirSync(tree, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(tree, join(entry.parentPath, entry.name)))
    .sort();
  const sums = runTool('md5sum', files, { cwd: tree });
  const sizes = files.map((file) => Math.ceil(statSync(join(tree, file)).size / 1024));
  mkdirSync(control, { mode: 0o755 });
  writeFileSync(join(control, 'md5sums'), sums);
  const configurations = files.filter((file) => file.startsWith('etc/'));
  writeFileSync(join(control, 'conffiles'), configurations.map((file) => `/${file}\n`).join(''));
  for (const script of ['postinst', 'prerm', 'postrm']) {
    copyFileSync(join(root, 'deploy/deb', script), join(control, script));
    chmodSync(join(control, script), 0o755);
  }
  writeFileSync(
    join(control, 'control'),
    `Package: fairlead
Version: ${built.version}
Architecture: ${architecture}
Maintainer: ${maintainer}
Installed-Size: ${sizes.reduce((sum, size) => sum + size, 0)}
Depends: adduser, libc6 (>= 2.28), libgcc-s1, libstdc++6 (>= 6)
Recommends: systemd
Section: net
Priority: optional
Description: reverse tunnel from a Kubernetes control plane to nodes it cannot reach
 An agent on each node dials out to a server beside the API server over mutual
 TLS, and every TCP connection to a kubelet, pod or service runs back through
 that tunnel. It replaces Konnectivity.
 .
 The package contains the server, the agent, the issuer of agents'
 certificates, the operators' command and systemd units. No unit starts before
 it is configured.
`,
  );
}

function copyright(): string {
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: fairlead

Files: *
Copyright: 2026 the Fairlead authors
License: Apache-2.0
 On Debian systems, the text of the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0. The executable contains Node.js and
 third-party packages. THIRD-PARTY-LICENSES.txt beside this file has their
 licenses.
`;
}

function changelog(): string {
  const when = runTool('git', ['-C', root, 'log', '-1', '--format=%cD']).trim();
  const what = `Release ${built.version}${built.commit ? `, commit ${built.commit}` : ''}.`;
  return `fairlead (${built.version}) stable; urgency=medium\n\n  * ${what}\n\n -- ${maintainer}  ${when}\n`;
}
