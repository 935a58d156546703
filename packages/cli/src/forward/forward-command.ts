import type { AddressInfo, Server } from 'node:net';
import { closeRoute, openDuplex, type Route } from '@fairlead/client';
import { formatHostPort } from '@fairlead/runtime/net';
import { defineOptions, kinds, option, type ParsedOptions } from '@fairlead/runtime/options';
import { StartupError } from '@fairlead/runtime/process';
import { commandEntry } from '../command-set.ts';
import { explainFailure, isFrontEndFault } from '../explain-failure.ts';
import { proxyOptions, proxyRoute } from '../proxy-options.ts';
import { type ForwardSpec, parseForwardSpec } from './forward-spec.ts';
import { forwardPort } from './forwarded-port.ts';

const maxPorts = 100;
/** Time for a target to end its side after the probe has. */
const probeEndMs = 2000;

const table = defineOptions({
  program: 'fairlead forward',
  summary: 'Make targets reachable on local ports, through a running server',
  examples: ['fairlead forward --proxy unix:front-end.sock 8080:node-1:80'],
  positionals: { usage: 'LOCAL:HOST:PORT', min: 1, max: maxPorts },
  options: {
    ...proxyOptions,
    'proxy-protocol': option(kinds.oneOf('http1', 'http2'), {
      group: 'Front end',
      description:
        'Protocol of the front end: http1 opens a connection for each stream, http2 shares one connection',
      default: 'http1',
    }),
    address: option(kinds.host, {
      group: 'Local side',
      description: 'Address to listen on; every client that can reach it can reach the target',
      default: '127.0.0.1',
    }),
    timeout: option(kinds.duration({ minMs: 1 }), {
      group: 'Front end',
      description: 'Time limit for opening a stream',
      default: 60_000,
    }),
    quiet: option(kinds.boolean, {
      group: 'Local side',
      description: 'Do not print a line for each connection',
      default: false,
    }),
  },
});

type ForwardFlags = ParsedOptions<typeof table.options>['options'];

async function forward({
  options: flags,
  positionals,
}: ParsedOptions<typeof table.options>): Promise<void> {
  const print = (text: string) => process.stderr.write(`${table.program}: ${text}\n`);
  const specs = positionals.map(parseForwardSpec);
  const frontEnd = proxyRoute(flags, (text) => print(`warning: ${text}`));
  const by = flags.proxyProtocol === 'http2' ? 'http2-connect' : 'connect';
  const routeTo = ({ target }: ForwardSpec): Route => ({ ...frontEnd, by, target, isEager: true });
  // One object for each route, because shared connections belong to the object.
  const routes = specs.map(routeTo);
  const ports: Server[] = [];
  try {
    await probe(routes[0]!, flags, print);
    for (const [at, spec] of specs.entries()) {
      ports.push(await start(spec, routes[at]!, flags, print));
    }
  } catch (error) {
    for (const port of ports) port.close();
    for (const route of routes) closeRoute(route);
    throw error;
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(0));
}

export const runForwardCommand = commandEntry(table, forward).run;

/** Throws if the front end fails, and only warns if the target fails, because it can start later. */
async function probe(
  route: Route,
  { timeout }: ForwardFlags,
  print: (text: string) => void,
): Promise<void> {
  try {
    const stream = await openDuplex(route, timeout);
    stream.on('error', () => {});
    // An orderly end, because a target can log a reset as an error.
    stream.resume().end();
    setTimeout(() => stream.destroy(), probeEndMs).unref();
  } catch (error) {
    const text = explainFailure(error as Error, route);
    if (isFrontEndFault(error as Error)) throw new StartupError(text, { cause: error });
    print(`warning: ${text}`);
  }
}

async function start(
  { localPort, target }: ForwardSpec,
  route: Route,
  { address, timeout, quiet }: ForwardFlags,
  print: (text: string) => void,
): Promise<Server> {
  let bound = localPort;
  const server = await forwardPort({
    route,
    host: address,
    port: localPort,
    timeoutMs: timeout,
    onConnection: () => {
      if (!quiet) process.stdout.write(`Handling connection for ${bound}\n`);
    },
    onFailure: (error) => print(`connection for ${bound}: ${explainFailure(error, route)}`),
  });
  const listener = server.address() as AddressInfo;
  bound = listener.port;
  const local = formatHostPort({ host: listener.address, port: listener.port });
  process.stdout.write(`Forwarding from ${local} -> ${formatHostPort(target)}\n`);
  return server;
}
