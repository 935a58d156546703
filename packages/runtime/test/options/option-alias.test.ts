import { join } from 'node:path';
import {
  configOptions,
  configurationDocs,
  defineOptions,
  helpText,
  kinds,
  option,
  parseOptions,
} from '@fairlead/runtime/options';
import t, { type Test } from 'tap';

const group = 'Sample';
const table = defineOptions({
  program: 'sample',
  summary: 'sample: has options with aliases',
  options: {
    ...configOptions,
    color: option(kinds.list(kinds.text), {
      group,
      description: 'Words',
      default: [],
      alias: 'colour',
    }),
    'catalog-port': option(kinds.listenPort, {
      group,
      description: 'A port',
      default: 7,
      secret: true,
      alias: 'catalogue-port',
    }),
  },
});

const parse = (argv: string[], env: Record<string, string> = {}) =>
  parseOptions(table, { argv, env });

/** Parses a configuration file with this text. */
function parseFile(t: Test, text: string) {
  const path = join(t.testdir({ 'sample.yaml': text }), 'sample.yaml');
  return { path, parse: () => parse(['--config', path]) };
}

t.test('an alias works as flag, variable and key of a file without a warning', async (t) => {
  t.equal(parse(['--catalogue-port', '1']).options.catalogPort, 1);
  t.equal(parse(['--catalogue-port=1']).sources.get('catalog-port'), 'flag');
  t.equal(parse([], { FAIRLEAD_CATALOGUE_PORT: '1' }).options.catalogPort, 1);
  t.equal(parseFile(t, 'catalogue-port: 1').parse().options.catalogPort, 1);
  t.strictSame(parse(['--colour=a', '--colour=b,c']).options.color, ['a', 'b', 'c']);
  t.strictSame(parse(['--colour=a']).warnings, []);
});

t.test('an error has the spelling that was used', async (t) => {
  t.throws(() => parse(['--catalogue-port=x']), {
    message: '--catalogue-port: the value is not a whole number from 0 to 65535',
  });
  t.throws(() => parse(['--catalog-prot=1']), { message: /did you mean --catalog-port\?/ });
  t.match(parse([], { FAIRLEAD_CATALOGUE_PORT: 'tcp://10.0.0.1:7' }), {
    options: { catalogPort: 7 },
    warnings: [/^FAIRLEAD_CATALOGUE_PORT=tcp:.*enableServiceLinks: false/],
  });
});

t.test('an alias has the precedence of its source', async (t) => {
  const config = ['--config', join(t.testdir({ 'a.yaml': 'catalog-port: 3' }), 'a.yaml')];
  t.equal(parse(['--catalogue-port=1'], { FAIRLEAD_CATALOG_PORT: '2' }).options.catalogPort, 1);
  t.equal(parse(['--catalog-port=1'], { FAIRLEAD_CATALOGUE_PORT: '2' }).options.catalogPort, 1);
  t.equal(parse(config, { FAIRLEAD_CATALOGUE_PORT: '2' }).options.catalogPort, 2);
});

t.test('a name and its alias in one source must have the same value', async (t) => {
  t.equal(parse(['--catalogue-port=1', '--catalog-port=1']).options.catalogPort, 1);
  t.strictSame(parseFile(t, 'color: [a, b]\ncolour: a,b').parse().options.color, ['a', 'b']);
  const cure = 'are the same option with two values: set';
  t.throws(() => parse(['--catalogue-port=1', '--catalog-port=2']), {
    message: `--catalog-port and --catalogue-port ${cure} --catalog-port only`,
  });
  t.throws(() => parse([], { FAIRLEAD_CATALOGUE_PORT: '1', FAIRLEAD_CATALOG_PORT: '2' }), {
    message: `FAIRLEAD_CATALOG_PORT and FAIRLEAD_CATALOGUE_PORT ${cure} FAIRLEAD_CATALOG_PORT only`,
  });
  const file = parseFile(t, 'catalogue-port: 1\ncatalog-port: 2');
  const [byName, byAlias] = [`${file.path}:2: catalog-port`, `${file.path}:1: catalogue-port`];
  t.throws(file.parse, {
    name: 'UsageError',
    message: `${byName} and ${byAlias} ${cure} ${byName} only`,
  });
});

t.test('--help and the docs page omit aliases', async (t) => {
  for (const text of [helpText(table), configurationDocs([table])]) {
    t.match(text, '--catalog-port');
    t.notMatch(text, /catalogue|colour/i);
  }
});

t.test('refuses an alias that is not a valid name of an option', async (t) => {
  for (const alias of ['help', 'a b', 'Port']) {
    const spec = { group, description: 'Low', default: 1, alias };
    const options = { low: option(kinds.integer(0, 9), spec) };
    t.throws(() => defineOptions({ program: 'bad', summary: 'bad', options }), {
      message: `an option cannot be named ${alias}`,
    });
  }
});
