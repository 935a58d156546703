import { runProgram } from '@fairlead/runtime';
import { serverOptions } from './options.ts';
import { createServer } from './server.ts';
import { version } from './version.ts';

await runProgram({
  table: serverOptions,
  version,
  start: ({ options, logger }) => createServer(options, logger),
});
