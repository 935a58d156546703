/** deploy/: an example configuration or a unit that its program or systemd would refuse. */
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
  spawnSync('systemd-analyze', ['--version']).status === 0 ? false : 'NO SYSTEMD-ANALYZE HERE';

function read(path: string): string {
  return readFileSync(join(workspaceRoot, path), 'utf8');
}

for (const program of ['server', 'agent', 'issuer'] as const) {
  const example = read(`deploy/config/${program}.yaml`);
  const { table, drain } = programs[program];

  t.test(`the program takes ${program}.yaml`, async (t) => {
    const parse = (text: string) => {
      const file = join(directory, `${program}.yaml`);
      writeFileSync(file, text);
      // Each table has all that is used here; the compiler accepts only one type.
      return parseOptions(table as unknown as typeof serverOptions, {
        argv: [`--config=${file}`],
        env: {},
      });
    };
    t.same(parse(example).warnings, [], 'as it is');
    const uncommented = example.replaceAll(/^# ([a-z-]+: )/gm, '$1');
    t.not(uncommented, example, 'there are lines to take the # from');
    t.same(parse(uncommented).warnings, [], 'with all that is commented out');
    t.throws(() => parse(`${example}\nno-such-key: 1\n`), /no-such-key/, 'a wrong key is found');
  });

  const unit = read(`deploy/systemd/fairlead-${program}.service`);
  t.test(`fairlead-${program}.service gives a stop its time`, async (t) => {
    const seconds = (key: string) => Number(new RegExp(`^${key}=(\\d+)s$`, 'm').exec(unit)?.[1]);
    const options: Readonly<Record<string, unknown>> = parseOptions(table as AnyOptionTable, {
      argv: [`--config=${join(workspaceRoot, `deploy/config/${program}.yaml`)}`],
      env: {},
    }).options;
    t.ok(seconds('TimeoutStopSec') * 1000 > Number(options[drain]), 'a stop is not cut short');
  });

  t.test(`systemd-analyze takes fairlead-${program}.service`, { skip: skipUnits }, async (t) => {
    // systemd-analyze wants the program to be there; where it is not installed, another one will do.
    const file = join(directory, `fairlead-${program}.service`);
    writeFileSync(file, unit.replace(/\/usr\/bin\/fairlead\S*/, process.execPath));
    const analyze = (...args: string[]) => {
      const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
      return { status, told: `${stdout}${stderr}` };
    };
    t.same(analyze('verify', '--man=no', file), { status: 0, told: '' }, 'verified');
    // In tenths: 2.0, of 10. Older versions cannot look at a file.
    const security = analyze('security', '--offline=true', '--threshold=20', file);
    t.comment(security.told.trim().split('\n').at(-1)!);
    const skip = /unrecognized option/.test(security.told) && 'it knows no --offline';
    t.equal(security.status, 0, 'exposed no more than needed', { skip });
  });
}
