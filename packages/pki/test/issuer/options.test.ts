import { join } from 'node:path';
import { issuerOptions } from '@fairlead/pki/issuer/options';
import { parseOptions } from '@fairlead/runtime/options';
import t from 'tap';

const required = ['server-cert', 'server-key', 'ca-cert', 'issuer-cert', 'issuer-key', 'token-dir'];
const parse = (argv: readonly string[], env: Record<string, string> = {}) =>
  parseOptions(issuerOptions, { argv: [...required.map((name) => `--${name}=x`), ...argv], env });

t.test('the former spelling --enrolment-* still works', async (t) => {
  const expected = { enrollmentPort: 1, enrollmentBindAddress: '127.0.0.2' };
  for (const word of ['enrollment', 'enrolment']) {
    const lines = [`${word}-port: 1`, `${word}-bind-address: 127.0.0.2`];
    const file = join(t.testdir({ 'issuer.yaml': lines.join('\n') }), 'issuer.yaml');
    const variables = {
      [`FAIRLEAD_${word.toUpperCase()}_PORT`]: '1',
      [`FAIRLEAD_${word.toUpperCase()}_BIND_ADDRESS`]: '127.0.0.2',
    };
    for (const { options, warnings } of [
      parse([`--${word}-port=1`, `--${word}-bind-address=127.0.0.2`]),
      parse([], variables),
      parse([`--config=${file}`]),
    ]) {
      t.match(options, expected);
      t.strictSame(warnings, []);
    }
  }
});

t.test('refuses two ports in two spellings', async (t) => {
  t.throws(() => parse(['--enrolment-port=1', '--enrollment-port=2']), {
    message: /--enrollment-port and --enrolment-port/,
  });
});
