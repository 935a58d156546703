import { warmSockets } from '@fairlead/runtime/net';
import { release, runProgram } from '@fairlead/runtime/process';
import { createAgent } from './agent.ts';
import { agentOptions } from './options.ts';

warmSockets();
// Not awaited: a bundle of CommonJS, which V8's code cache needs, has no top-level await.
void runProgram({
  table: agentOptions,
  ...release,
  start: ({ options, logger }) => createAgent(options, logger),
});
