/**
 * `npm run build:binaries [-- --platform=linux-x64,...] [--archive]`: single-file programs in dist-binaries, with
 * their bill of materials, licenses and checksums.
 */
import { copyFileSync, linkSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { type Bundle, makeBundle } from './bundle.ts';
import { writeChecksums } from './checksums.ts';
import { thirdPartyLicenses } from './licenses.ts';
import { signMacho } from './macho-signature.ts';
import { buildFor, type Platform, platforms } from './node-builds.ts';
import { runTool } from './run-tool.ts';
import { readNpmSbom, sbomOf } from './sbom.ts';
import { makeExecutable } from './single-executable.ts';
import { built, inMegabytes, outputDirectory, root } from './workspace.ts';

const { values } = parseArgs({
  options: { platform: { type: 'string' }, archive: { type: 'boolean', default: false } },
});

const wanted = readPlatforms(values.platform);
rmSync(outputDirectory, { recursive: true, force: true });
mkdirSync(outputDirectory, { recursive: true });
say(`fairlead ${built.version}, commit ${built.commit ?? 'unknown'}`);

const bundle = await makeBundle(join(outputDirectory, 'fairlead.cjs'));
const npmSbom = readNpmSbom();
for (const platform of wanted) await buildPlatform(bundle, platform);
rmSync(bundle.file);
await writeChecksums(outputDirectory);

/** @returns all platforms if none is given */
function readPlatforms(asked: string | undefined): readonly Platform[] {
  if (asked === undefined) return platforms;
  const names = asked.split(',');
  const unknown = names.filter((name) => !platforms.some((platform) => platform === name));
  if (unknown.length > 0) {
    process.stderr.write(
      `--platform: unknown platform ${unknown}. Use one or more of ${platforms.join(', ')}.\n`,
    );
    process.exit(2);
  }
  return platforms.filter((platform) => names.includes(platform));
}

/** Writes one executable of 130 MB and links it under its two other names. */
async function buildPlatform({ file, packages }: Bundle, platform: Platform): Promise<void> {
  const directory = join(outputDirectory, platform);
  mkdirSync(directory);
  const suffix = platform.startsWith('win32') ? '.exe' : '';
  const executable = join(directory, `fairlead${suffix}`);
  await makeExecutable(file, platform, executable);
  if (platform.startsWith('darwin')) say(signMacho(executable));
  for (const name of ['fairlead-server', 'fairlead-agent']) {
    const link = join(directory, `${name}${suffix}`);
    // On Windows, symbolic links need a privilege.
    if (suffix) linkSync(executable, link);
    else symlinkSync('fairlead', link);
  }
  const build = buildFor(platform);
  const sbom = sbomOf(npmSbom, packages, build);
  writeFileSync(join(directory, 'sbom.cdx.json'), `${JSON.stringify(sbom, null, 2)}\n`);
  const licenses = thirdPartyLicenses(packages, build);
  writeFileSync(join(directory, 'THIRD-PARTY-LICENSES.txt'), licenses);
  copyFileSync(join(root, 'LICENSE'), join(directory, 'LICENSE'));
  say(`${relative(root, executable)}: ${inMegabytes(executable)}, Node ${build.version}`);
  if (values.archive) archive(platform);
}

/** `fairlead-VERSION-PLATFORM.tar.xz`, which unpacks into a directory of that name. */
function archive(platform: Platform): void {
  const name = `fairlead-${built.version}-${platform}`;
  const file = join(outputDirectory, `${name}.tar.xz`);
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--sort=name'];
  const transform = `--transform=flags=r;s,^${platform},${name},`;
  runTool('tar', ['-cJf', file, ...owner, transform, '-C', outputDirectory, platform], {
    env: { XZ_OPT: '-T0' },
  });
  say(`${relative(root, file)}: ${inMegabytes(file)}`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
