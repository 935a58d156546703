/** Real Konnectivity: built from its Go module, for tests that speak with it. */
import { execFile } from 'node:child_process';
import { copyFile, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
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

export interface UpstreamTests {
  readonly program: string;
  /** Where it is to run. */
  readonly directory: string;
}

/**
 * Builds the tests that a release's module carries. Our `TestMain` can start programs instead of servers and
 * agents in the tests' own process, and `cancel_test.go` adds tests of ours.
 *
 * The module's tests dial an address outside this machine and look up a name that may exist one day: both are replaced.
 * @param blackhole `host:port` that never answers
 */
export async function buildUpstreamTests(
  { name }: Release,
  blackhole: string,
): Promise<UpstreamTests> {
  const module = 'sigs.k8s.io/apiserver-network-proxy';
  // `go list` tells no directory of a module that is not there yet.
  await run('go', ['mod', 'download', module], { cwd: goDirectory });
  const { stdout } = await run('go', ['list', '-m', '-f', '{{.Dir}}', module], {
    cwd: goDirectory,
  });
  const copy = join(workspaceRoot, 'build/test/interop/upstream');
  const directory = join(copy, 'tests');
  await rm(copy, { recursive: true, force: true });
  await cp(stdout.trim(), copy, { recursive: true });
  // The module cache is read-only, and so are copies of it.
  await run('chmod', ['-R', 'u+w', copy]);
  for (const name of ['main_test.go', 'cancel_test.go']) {
    await copyFile(join(goDirectory, 'upstream', name), join(directory, name));
  }
  const file = join(directory, 'proxy_test.go');
  const text = (await readFile(file, 'utf8'))
    .replace(/(blackhole\s*=\s*)"[^"]*"/, `$1"${blackhole}"`)
    .replace(/thisdefinitelydoesnotexist\.com/g, 'no-such-host.invalid');
  const isWhole = text.includes(`"${blackhole}"`) && text.includes('no-such-host.invalid');
  if (!isWhole) throw new Error('the tests have changed: see which addresses they dial');
  await writeFile(file, text);
  // Its go.mod leads to a folder that the published module does not have.
  const client = `${module}/konnectivity-client`;
  const edits = [`-dropreplace=${client}`, `-require=${client}@${name}`];
  await run('go', ['mod', 'edit', ...edits], { cwd: copy });
  const program = join(copy, 'upstream.test');
  await run('go', ['test', '-mod=mod', '-c', '-o', program, './tests'], { cwd: copy });
  return { program, directory };
}
