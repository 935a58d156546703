import { runProgram } from '@fairlead/runtime';
import { createAgent } from './agent.ts';
import { agentOptions } from './options.ts';
import { version } from './version.ts';

await runProgram({
  table: agentOptions,
  version,
  start: ({ options, logger }) => createAgent(options, logger),
});
