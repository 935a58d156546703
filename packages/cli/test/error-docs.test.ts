import { readFileSync } from 'node:fs';
import { errorDocs } from '@fairlead/cli';
import t from 'tap';

t.test('docs/errors.md is generated from the error table', async (t) => {
  // This file runs from build/packages/cli/test.
  const page = new URL('../../../../docs/errors.md', import.meta.url);
  t.equal(readFileSync(page, 'utf8'), errorDocs(), 'run `npm run docs`');
});
