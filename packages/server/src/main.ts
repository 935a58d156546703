import { release, runProgram } from '@fairlead/runtime';
import { serverOptions } from './options.ts';
import { createServer } from './server.ts';

// Not awaited: a bundle of CommonJS, which V8's code cache needs, has no top-level await.
void runProgram({
  table: serverOptions,
  ...release,
  start: ({ options, logger }) => createServer(options, logger),
});
