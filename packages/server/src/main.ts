import { warmSockets } from '@fairlead/runtime/net';
import { release, runProgram } from '@fairlead/runtime/process';
import { serverOptions } from './options.ts';
import { createServer } from './server.ts';
import { startWorkers } from './workers/primary.ts';
import { isWorker } from './workers/worker-command.ts';
import { runWorker } from './workers/worker-main.ts';

warmSockets();
// Not awaited: a bundle of CommonJS, which V8's code cache needs, has no top-level await.
if (isWorker()) void runWorker();
else {
  void runProgram({
    table: serverOptions,
    ...release,
    start: ({ options, logger }) =>
      options.workers === 1 ? createServer(options, logger) : startWorkers(options, logger),
  });
}
