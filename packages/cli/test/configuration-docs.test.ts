import { readFileSync } from 'node:fs';
import { agentOptions } from '@fairlead/agent/options';
import { configurationDocs } from '@fairlead/runtime';
import { serverOptions } from '@fairlead/server/options';
import t from 'tap';

// This file runs from build/packages/cli/test.
const page = new URL('../../../../docs/configuration.md', import.meta.url);

t.test('docs/configuration.md says what the option tables say', async (t) => {
  t.equal(
    readFileSync(page, 'utf8'),
    configurationDocs([serverOptions, agentOptions]),
    'if not: npm run docs',
  );
});

t.test('every option is on the page', async (t) => {
  const text = readFileSync(page, 'utf8');
  for (const table of [serverOptions, agentOptions]) {
    const section = text.slice(text.indexOf(`\n## ${table.program}\n`));
    for (const name of Object.keys(table.options)) {
      t.match(section, new RegExp(`\`--${name}[ \`]`), `${table.program} --${name}`);
    }
  }
});
