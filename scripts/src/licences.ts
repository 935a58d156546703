import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BundledPackage } from './bundle.ts';
import { fetchBuild, makerOf, type NodeBuild } from './node-builds.ts';

const rule = `\n${'-'.repeat(79)}\n\n`;

/**
 * The licences of everything in a binary that is not Fairlead's own, in full.
 * @throws if a package says nothing of its licence
 */
export function thirdPartyLicences(packages: readonly BundledPackage[], build: NodeBuild): string {
  const foreign = packages.filter(({ name }) => !name.startsWith('@fairlead/'));
  // The build for Windows comes without; the text is the version's, not the platform's.
  const node = readFileSync(join(fetchBuild(makerOf(build.version)), 'LICENSE'), 'utf8');
  return [
    'Fairlead is licensed under the Apache License 2.0. Its binaries hold works of others:\n',
    ...foreign.map((one) => `${one.name} ${one.version} (${one.license})\n\n${licenceOf(one)}`),
    `Node.js ${build.version}\n\n${node}`,
  ].join(rule);
}

function licenceOf({ name, license, directory }: BundledPackage): string {
  const files = readdirSync(directory).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  if (files.length > 0) {
    return files.map((file) => readFileSync(join(directory, file), 'utf8')).join('\n');
  }
  if (license === undefined) throw new Error(`${name}: says nothing of its licence`);
  return `The package carries no text of its licence beside the name: ${license}\n`;
}
