/** Konnectivity's own tests, against our programs: what they assert is what its users rely on. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startBlackholeTarget, workspaceRoot } from '@fairlead/testkit';
import t from 'tap';
import { buildUpstreamTests, releases, type UpstreamTests, whyNoGo } from './konnectivity.ts';

const run = promisify(execFile);

const bin = (program: string) => join(workspaceRoot, 'node_modules/.bin', program);
const ourServer = ['-server-path', bin('fairlead-server')];
const ourAgent = ['-agent-path', bin('fairlead-agent')];

interface Pairing {
  readonly name: string;
  readonly args: readonly string[];
  /** Tests that do not apply, by name, and why. */
  readonly left?: Readonly<Record<string, string>>;
}

const exitsWhenIdle = {
  TestProxyHandle_AfterDrain:
    'an agent of ours ends when its last stream has; Konnectivity waits for a second signal',
};

/** A test that fails beside all others is tried again alone: some count on goroutines where programs are now. */
const maxTries = 3;

/**
 * Races within the tests' own process, which Konnectivity's programs lose as often as ours, by how many tries
 * they are worth. The first one cancels a request and its tunnel by one context, wants the word of the
 * request, and hears that of the tunnel in one run of ten to four.
 */
const racing: Readonly<Record<string, number>> = {
  TestProxyHandle_TunnelContextCancelled_GRPC: 20,
};

const pairings: readonly Pairing[] = [
  { name: 'our server, our agent', args: [...ourServer, ...ourAgent], left: exitsWhenIdle },
  { name: 'our server, Konnectivity agent', args: ourServer },
  { name: 'Konnectivity server, our agent', args: ourAgent, left: exitsWhenIdle },
];

/** Runs tests and tells which passed; subtests are part of theirs. */
async function runTests(
  { program, directory }: UpstreamTests,
  args: readonly string[],
): Promise<{ readonly passed: ReadonlyMap<string, boolean>; readonly output: string }> {
  const options = { cwd: directory, maxBuffer: 256 * 1024 ** 2 };
  const flags = ['-test.v', '-test.timeout=300s', ...args];
  // A test that fails makes the program fail: its output tells which one.
  const { stdout: output } = await run(program, flags, options).catch((failure) => failure);
  const outcomes = [...output.matchAll(/^--- (PASS|FAIL): (\S+)/gm)] as string[][];
  const passed = new Map(outcomes.map(([, verdict, name]) => [name!, verdict === 'PASS']));
  return { passed, output };
}

const whyNot = await whyNoGo();
if (whyNot) {
  t.pass(whyNot, { skip: whyNot });
} else {
  await t.test(`the tests of ${releases.current.name}`, async (t) => {
    const silent = await startBlackholeTarget();
    t.teardown(() => silent.close());
    const tests = await buildUpstreamTests(releases.current, `${silent.host}:${silent.port}`);
    const { stdout } = await run(tests.program, ['-test.list', '.'], { cwd: tests.directory });
    const all = stdout.split('\n').filter((line) => line.startsWith('Test'));
    t.ok(all.length > 20, `${all.length} tests`);
    const skipOf = ({ left }: Pairing) =>
      left ? [`-test.skip=^(${Object.keys(left).join('|')})$`] : [];
    // They wait more than they work.
    const runs = pairings.map(async (pairing) => ({
      pairing,
      ...(await runTests(tests, [...skipOf(pairing), ...pairing.args])),
    }));
    for (const { pairing, passed, output } of await Promise.all(runs)) {
      const { name, args, left = {} } = pairing;
      await t.test(name, async (t) => {
        for (const [test, reason] of Object.entries(left)) t.pass(test, { skip: reason });
        for (const test of all.filter((test) => !(test in left))) {
          let hasPassed = passed.get(test);
          for (let tries = 1; !hasPassed && tries < (racing[test] ?? maxTries); tries++) {
            hasPassed = (await runTests(tests, [`-test.run=^${test}$`, ...args])).passed.get(test);
          }
          t.ok(hasPassed, test);
        }
        if (!t.passing()) t.comment(output);
      });
    }
  });
}
