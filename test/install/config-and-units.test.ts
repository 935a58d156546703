/** Example configurations and systemd units in deploy/ are valid. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentOptions } from '@fairlead/agent/options';
import { issuerOptions } from '@fairlead/pki/issuer/options';
import { type AnyOptionTable, parseOptions } from '@fairlead/runtime/options';
import { serverOptions } from '@fairlead/server/options';
import { workspaceRoot } from '@fairlead/testkit';
import t from 'tap';

const programs = {
  server: { table: serverOptions, drain: 'gracefulShutdownTimeout' },
  agent: { table: agentOptions, drain: 'gracefulShutdownTimeout' },
  issuer: { table: issuerOptions, drain: 'requestTimeout' },
} as const;
const directory = mkdtempSync(join(tmpdir(), 'fairlead-deploy-'));
t.teardown(() => rmSync(directory, { recursive: true }));

const skipUnits =
  spawnSync('systemd-analyze', ['--version']).status === 0
    ? false
    : 'systemd-analyze is missing on this machine';

function read(path: string): string {
  return readFileSync(join(workspaceRoot, path), 'utf8');
}

for (const program of ['server', 'agent', 'issuer'] as const) {
  const example = read(`deploy/config/${program}.yaml`);
  const { table, drain } = programs[program];

  t.test(`the program accepts ${program}.yaml`, async (t) => {
    const parse = (text: string) => {
      const file = join(directory, `${program}.yaml`);
      writeFileSync(file, text);
      // All tables have the options that are used here; the type of one is enough.
      return parseOptions(table as unknown as typeof serverOptions, {
        argv: [`--config=${file}`],
        env: {},
      });
    };
    t.same(parse(example).warnings, [], 'unchanged');
    const uncommented = example.replaceAll(/^# ([a-z-]+: )/gm, '$1');
    t.not(uncommented, example, 'has options in comments');
    t.same(parse(uncommented).warnings, [], 'with all options uncommented');
    t.throws(
      () => parse(`${example}\nno-such-key: 1\n`),
      /no-such-key/,
      'an unknown key is an error',
    );
  });

  const unit = read(`deploy/systemd/fairlead-${program}.service`);
  t.test(`fairlead-${program}.service waits for a drain`, async (t) => {
    const seconds = (key: string) => Number(new RegExp(`^${key}=(\\d+)s$`, 'm').exec(unit)?.[1]);
    const options: Readonly<Record<string, unknown>> = parseOptions(table as AnyOptionTable, {
      argv: [`--config=${join(workspaceRoot, `deploy/config/${program}.yaml`)}`],
      env: {},
    }).options;
    t.ok(
      seconds('TimeoutStopSec') * 1000 > Number(options[drain]),
      'TimeoutStopSec is longer than the drain',
    );
  });

  t.test(`systemd-analyze accepts fairlead-${program}.service`, { skip: skipUnits }, async (t) => {
    // systemd-analyze checks that the program exists. Node replaces it, since it need not be installed.
    const file = join(directory, `fairlead-${program}.service`);
    writeFileSync(file, unit.replace(/\/usr\/bin\/fairlead\S*/, process.execPath));
    const analyze = (...args: string[]) => {
      const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
      return { status, output: `${stdout}${stderr}` };
    };
    t.same(analyze('verify', '--man=no', file), { status: 0, output: '' }, 'verified');
    // The threshold is in tenths: an exposure of 2.0 of 10. Older versions cannot check a file.
    const security = analyze('security', '--offline=true', '--threshold=20', file);
    t.comment(security.output.trim().split('\n').at(-1)!);
    const skip = /unrecognized option/.test(security.output) && 'this version has no --offline';
    t.equal(security.status, 0, 'exposure is below the threshold', { skip });
  });
}
