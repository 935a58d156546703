/** Generates docs/configuration.md and docs/errors.md (`npm run docs`). Tests compare them with the code. */
import { writeFileSync } from 'node:fs';
import { agentOptions } from '@fairlead/agent/options';
import { issuerOptions } from '@fairlead/pki/issuer/options';
import { configurationDocs } from '@fairlead/runtime/options';
import { serverOptions } from '@fairlead/server/options';
import { errorDocs } from './error-docs.ts';

const docs = new URL('../../../docs/', import.meta.url);

writeFileSync(
  new URL('configuration.md', docs),
  configurationDocs([serverOptions, agentOptions, issuerOptions]),
);
writeFileSync(new URL('errors.md', docs), errorDocs());
