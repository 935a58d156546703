import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BundledPackage } from './bundle.ts';
import { fetchBuild, makerOf, type NodeBuild } from './node-builds.ts';

const rule = `\n${'-'.repeat(79)}\n\n`;

/**
 * The full license texts of all third-party code in a binary.
 * @throws Error if a package declares no license
 */
export function thirdPartyLicenses(packages: readonly BundledPackage[], build: NodeBuild): string {
  const foreign = packages.filter(({ name }) => !name.startsWith('@fairlead/'));
  // Node's Windows build contains no license file. The text is the same on all platforms.
  const node = readFileSync(join(fetchBuild(makerOf(build.version)), 'LICENSE'), 'utf8');
  return [
    'Fairlead is licensed under the Apache License 2.0. Its binaries contain third-party software:\n',
    ...foreign.map((one) => `${one.name} ${one.version} (${one.license})\n\n${licenseOf(one)}`),
    `Node.js ${build.version}\n\n${node}`,
  ].join(rule);
}

function licenseOf({ name, license, directory }: BundledPackage): string {
  const files = readdirSync(directory).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  if (files.length > 0) {
    return files.map((file) => readFileSync(join(directory, file), 'utf8')).join('\n');
  }
  if (license === undefined) throw new Error(`${name}: package.json declares no license`);
  return `The package contains no license text. It declares: ${license}\n`;
}
