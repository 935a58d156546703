import {
  configurationDocs,
  describeOptions,
  helpText,
  parseOptions,
} from '@fairlead/runtime/options';
import t from 'tap';
import { sampleTable } from './sample-table.ts';

t.test('--help lists every option that has an effect, with its default', async (t) => {
  const text = helpText(sampleTable);
  t.match(text, 'Usage: sample [flags]');
  t.match(text, '\nSample:\n      --agent-port PORT\n        A port (default 8091)\n');
  t.match(text, '\n  -v, --v NUMBER\n');
  t.match(text, 'A duration that 0 switches off (default 1s)');
  t.match(text, 'A name (default made up; also PROXY_SERVER_ID)');
  t.match(text, 'A former option (deprecated)');
  t.match(text, 'Ignored with a warning:\n  --channel-size --profiling\n');
  t.notMatch(text, 'leases');
  t.ok(
    text.split('\n').every((line) => line.length <= 100),
    'no line is wider than 100 characters',
  );
});

t.test('the docs page has every option, and escapes | in tables', async (t) => {
  const page = configurationDocs([sampleTable]);
  for (const name of Object.keys(sampleTable.options)) t.match(page, `\`--${name}`, name);
  t.match(page, '| `--mode grpc\\|http-connect` | `FAIRLEAD_MODE` |');
  t.match(page, '| `FAIRLEAD_SERVER_ID`, `PROXY_SERVER_ID` | made up |');
  t.match(page, '| `--leases` | Leases (`false`) | leases are not supported yet |');
});

t.test('describeOptions() formats values as users write them, and redacts secrets', async (t) => {
  const { options } = parseOptions(sampleTable, {
    argv: ['--pin=1234', '--proxy=http://user:hunter2@proxy:3128', '--hosts=a,b', '--grace-time=0'],
    env: {},
  });
  const described = describeOptions(sampleTable, options);
  t.strictSame(described, {
    'agent-port': '8091',
    'dial-timeout': '5s',
    'grace-time': '0',
    window: '64KiB',
    verbose: 'false',
    quiet: 'true',
    v: '0',
    hosts: 'a,b',
    'server-id': 'made',
    proxy: 'http://user:redacted@proxy:3128/',
    pin: '[redacted]',
  });
  t.notMatch(JSON.stringify(described), /hunter2|1234/);
});
