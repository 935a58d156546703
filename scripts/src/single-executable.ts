/** Makes single executable applications: Node builds with the bundle inside. See that chapter of Node's manual. */
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postject from 'postject';
import { buildFor, fetchNode, makerOf, type Platform } from './node-builds.ts';
import { runTool } from './run-tool.ts';

/** Node finds the injected bundle through these names. */
const resource = 'NODE_SEA_BLOB';
const sentinelFuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** Writes the executable for a platform. */
export async function makeExecutable(
  bundle: string,
  platform: Platform,
  output: string,
): Promise<void> {
  const build = buildFor(platform);
  const maker = makerOf(build.version);
  const work = mkdtempSync(join(tmpdir(), 'fairlead-binaries-'));
  try {
    const config = join(work, 'config.json');
    const blob = join(work, 'blob');
    writeFileSync(
      config,
      JSON.stringify({
        main: bundle,
        output: blob,
        disableExperimentalSEAWarning: true,
        // Compiled code is valid only on the platform that compiled it.
        useCodeCache: maker.platform === platform,
      }),
    );
    runTool(fetchNode(maker), ['--experimental-sea-config', config]);
    copyFileSync(fetchNode(build), output);
    chmodSync(output, 0o755);
    await injectQuietly(output, readFileSync(blob), platform.startsWith('darwin'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Suppresses postject's warnings about unnamed ELF sections of Node, which are harmless. */
async function injectQuietly(file: string, blob: Buffer, isMacho: boolean): Promise<void> {
  const { warn } = console;
  console.warn = () => {};
  try {
    await postject.inject(file, resource, blob, {
      sentinelFuse,
      ...(isMacho ? { machoSegmentName: 'NODE_SEA' } : {}),
    });
  } finally {
    console.warn = warn;
  }
}
