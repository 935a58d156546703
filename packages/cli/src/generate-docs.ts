/** Writes docs/configuration.md; `npm run docs`. A test fails when the page and the tables drift. */
import { writeFileSync } from 'node:fs';
import { agentOptions } from '@fairlead/agent/options';
import { configurationDocs } from '@fairlead/runtime';
import { serverOptions } from '@fairlead/server/options';

const page = new URL('../../../docs/configuration.md', import.meta.url);

writeFileSync(page, configurationDocs([serverOptions, agentOptions]));
