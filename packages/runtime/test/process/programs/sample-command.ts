/** A command for program.test.ts. */
import { defineOptions, ignoredOption, kinds, option } from '@fairlead/runtime/options';
import { runCommand, StartupError } from '@fairlead/runtime/process';

const table = defineOptions({
  program: 'sample command',
  summary: 'sample command: greets',
  positionals: { usage: 'NAME', min: 1, max: 1 },
  options: {
    fail: option(kinds.boolean, { group: 'Sample', description: 'Fail', default: false }),
    polite: ignoredOption(kinds.boolean, { description: 'Be polite', reason: 'it always is' }),
  },
});

await runCommand({
  table,
  version: '1.2.3',
  run: async ({ options, positionals }) => {
    if (options.fail) throw new StartupError('it failed because of --fail; remove --fail');
    process.stdout.write(`hello ${positionals[0]}\n`);
  },
});
