/** Real Konnectivity: built from its Go module, for tests that speak with it. */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { workspaceRoot } from '@fairlead/testkit';

const run = promisify(execFile);

/** A release that tests speak with; `modFile` in test/interop/go pins it. */
export interface Release {
  readonly name: string;
  readonly modFile: string;
}

/** One of 2026, and one that clusters of years ago still run. */
export const releases = {
  current: { name: 'v0.36.0', modFile: 'go.mod' },
  old: { name: 'v0.30.3', modFile: 'v0.30.mod' },
} as const satisfies Record<string, Release>;

/** The programs of a release, and our client built on its client library. */
export interface Binaries {
  readonly release: string;
  readonly server: string;
  readonly agent: string;
  readonly client: string;
}

const goDirectory = join(workspaceRoot, 'test/interop/go');
const upstream = 'sigs.k8s.io/apiserver-network-proxy/cmd';

/** Why nothing can be built here, or undefined when it can. */
export async function whyNoGo(): Promise<string | undefined> {
  try {
    await run('go', ['version']);
    return undefined;
  } catch {
    return 'THERE IS NO Go ON THIS MACHINE: NOTHING WAS TRIED WITH REAL KONNECTIVITY';
  }
}

/** Builds a release's programs; the Go build cache makes a second time quick. */
export async function buildKonnectivity({ name, modFile }: Release): Promise<Binaries> {
  const directory = join(workspaceRoot, 'build/test/interop/bin', name);
  await mkdir(directory, { recursive: true });
  const packages = ['./client', `${upstream}/server`, `${upstream}/agent`];
  await run('go', ['build', `-modfile=${modFile}`, '-o', `${directory}/`, ...packages], {
    cwd: goDirectory,
  });
  return {
    release: name,
    server: join(directory, 'server'),
    agent: join(directory, 'agent'),
    client: join(directory, 'client'),
  };
}
