import { runProgram } from '@fairlead/runtime';
import { serverOptions } from './options.ts';
import { createServer } from './server.ts';
import { version } from './version.ts';
import { startWorkers } from './workers/primary.ts';
import { isWorker } from './workers/worker-command.ts';
import { runWorker } from './workers/worker-main.ts';

if (isWorker()) await runWorker();
else {
  await runProgram({
    table: serverOptions,
    version,
    start: ({ options, logger }) =>
      options.workers === 1 ? createServer(options, logger) : startWorkers(options, logger),
  });
}
