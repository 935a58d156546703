import { readFileSync } from 'node:fs';
import { agentOptions } from '@fairlead/agent/options';
import { issuerOptions } from '@fairlead/pki/issuer/options';
import { configurationDocs } from '@fairlead/runtime/options';
import { serverOptions } from '@fairlead/server/options';
import t from 'tap';

// This file runs from build/packages/cli/test.
const page = new URL('../../../../docs/configuration.md', import.meta.url);

t.test('docs/configuration.md is generated from the option tables', async (t) => {
  t.equal(
    readFileSync(page, 'utf8'),
    configurationDocs([serverOptions, agentOptions, issuerOptions]),
    'run `npm run docs`',
  );
});

t.test('docs/configuration.md has every option', async (t) => {
  const text = readFileSync(page, 'utf8');
  for (const table of [serverOptions, agentOptions, issuerOptions]) {
    const section = text.slice(text.indexOf(`\n## ${table.program}\n`));
    for (const [name, option] of Object.entries(table.options)) {
      const isFlag = option.standing !== 'live' || option.notAsFlag === undefined;
      const written = isFlag ? `--${name}` : `FAIRLEAD_${name.toUpperCase().replaceAll('-', '_')}`;
      t.match(section, new RegExp(`\`${written}[ \`]`), `${table.program} ${written}`);
    }
  }
});
