/** Builds real Konnectivity from its Go module. */
import { execFile } from 'node:child_process';
import { copyFile, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { workspaceRoot } from '@fairlead/testkit';

const run = promisify(execFile);

/** A release under test. `modFile` in test/interop/go pins it. */
export interface Release {
  readonly name: string;
  readonly modFile: string;
}

/** A release of 2026, and one that old clusters still run. */
export const releases = {
  current: { name: 'v0.36.0', modFile: 'go.mod' },
  old: { name: 'v0.30.3', modFile: 'v0.30.mod' },
} as const satisfies Record<string, Release>;

/** The programs of a release, and the test client that uses its client library. */
export interface Binaries {
  readonly release: string;
  readonly server: string;
  readonly agent: string;
  readonly client: string;
}

const goDirectory = join(workspaceRoot, 'test/interop/go');
const upstream = 'sigs.k8s.io/apiserver-network-proxy/cmd';

/** Why Konnectivity cannot be built on this machine, or undefined. */
export async function goSkipReason(): Promise<string | undefined> {
  try {
    await run('go', ['version']);
    return undefined;
  } catch {
    return 'Go is missing on this machine: nothing was tested with real Konnectivity';
  }
}

/** Builds a release's programs. The Go build cache makes later builds fast. */
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
  /** The directory to run it in. */
  readonly directory: string;
}

/**
 * Builds the tests in a release's module. A replaced `TestMain` can start programs instead of running servers
 * and agents in the tests' process. `cancel_test.go` adds tests.
 *
 * The module's tests dial an address outside this machine, and look up a name that could be registered. Both
 * are replaced.
 * @param blackhole `host:port` that never answers
 */
export async function buildUpstreamTests(
  { name }: Release,
  blackhole: string,
): Promise<UpstreamTests> {
  const module = 'sigs.k8s.io/apiserver-network-proxy';
  // `go list` prints a module's directory only after the download.
  await run('go', ['mod', 'download', module], { cwd: goDirectory });
  const { stdout } = await run('go', ['list', '-m', '-f', '{{.Dir}}', module], {
    cwd: goDirectory,
  });
  const copy = join(workspaceRoot, 'build/test/interop/upstream');
  const directory = join(copy, 'tests');
  await rm(copy, { recursive: true, force: true });
  await cp(stdout.trim(), copy, { recursive: true });
  // Files in the module cache are read-only, and so are their copies.
  await run('chmod', ['-R', 'u+w', copy]);
  for (const name of ['main_test.go', 'cancel_test.go']) {
    await copyFile(join(goDirectory, 'upstream', name), join(directory, name));
  }
  const file = join(directory, 'proxy_test.go');
  const text = (await readFile(file, 'utf8'))
    .replace(/(blackhole\s*=\s*)"[^"]*"/, `$1"${blackhole}"`)
    .replace(/thisdefinitelydoesnotexist\.com/g, 'no-such-host.invalid');
  const isReplaced = text.includes(`"${blackhole}"`) && text.includes('no-such-host.invalid');
  if (!isReplaced) throw new Error('the tests have changed: see which addresses they dial');
  await writeFile(file, text);
  // Its go.mod refers to a folder that the published module does not contain.
  const client = `${module}/konnectivity-client`;
  const edits = [`-dropreplace=${client}`, `-require=${client}@${name}`];
  await run('go', ['mod', 'edit', ...edits], { cwd: copy });
  const program = join(copy, 'upstream.test');
  await run('go', ['test', '-mod=mod', '-c', '-o', program, './tests'], { cwd: copy });
  return { program, directory };
}
