import { createLoadTarget, targetKinds } from '@fairlead/client/load';
import { bind, formatHostPort } from '@fairlead/runtime/net';
import { defineOptions, kinds, option, type ParsedOptions } from '@fairlead/runtime/options';
import { commandEntry } from '../command-set.ts';

const table = defineOptions({
  program: 'fairlead bench-target',
  summary: 'Run a target for fairlead bench',
  examples: ['fairlead bench-target --port 7080'],
  options: {
    kind: option(kinds.oneOf(...targetKinds), {
      group: 'Target',
      description:
        'echo sends back what it receives, for --mode=echo and open; sink receives uploads; source sends downloads; http answers with 1 KiB',
      default: 'echo',
    }),
    port: option(kinds.listenPort, {
      group: 'Target',
      description: 'Port to listen on; 0 lets the system pick one',
      default: 0,
    }),
    address: option(kinds.host, {
      group: 'Target',
      description:
        'Address to listen on; every client that can reach it can put load on this process',
      default: '127.0.0.1',
    }),
  },
});

async function serve({
  options: { kind, port, address },
}: ParsedOptions<typeof table.options>): Promise<void> {
  const server = createLoadTarget(kind, { bytes: 0, operations: 0 });
  const bound = await bind(server, { flag: '--port', port, host: address });
  const listener = formatHostPort({ host: bound.address, port: bound.port });
  process.stdout.write(`${kind} target listening on ${listener}\n`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(0));
}

export const runBenchTargetCommand = commandEntry(table, serve).run;
