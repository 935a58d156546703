/** A program for program.test.ts. `--act` selects its behavior. */
import { createServer } from 'node:net';
import { listen } from '@fairlead/runtime/net';
import { configOptions, defineOptions, kinds, logOptions, option } from '@fairlead/runtime/options';
import { runProgram } from '@fairlead/runtime/process';

const table = defineOptions({
  program: 'sample-program',
  summary: 'sample-program: behaves as --act says',
  options: {
    ...configOptions,
    ...logOptions,
    act: option(
      kinds.oneOf(
        'serve',
        'throw-later',
        'reject-later',
        'reject-drain',
        'hang-drain',
        'bug',
        'end',
      ),
      { group: 'Sample', description: 'What to do', default: 'serve' },
    ),
    port: option(kinds.listenPort, { group: 'Sample', description: 'A port', default: 0 }),
    pin: option(kinds.text, { group: 'Sample', description: 'A secret', secret: true }),
  },
});

await runProgram({
  table,
  version: '1.2.3',
  start: async ({ options, logger }) => {
    const { act, port } = options;
    if (act === 'bug') throw new TypeError('a bug');
    const server = createServer();
    await listen(server, { listener: 'sample', flag: '--port', host: '127.0.0.1', port }, logger);
    const drain = async () => {
      if (act === 'reject-drain') throw new Error('cannot drain');
      if (act === 'hang-drain') await new Promise(() => {});
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    };
    if (act === 'throw-later') {
      setImmediate(() => {
        throw new Error('thrown later');
      });
    }
    if (act === 'reject-later')
      setImmediate(() => void Promise.reject(new Error('rejected later')));
    if (act !== 'end') return { drain, describe: () => 'serving samples' };
    return { drain, ended: Promise.reject(new Error('ended by itself')) };
  },
});
