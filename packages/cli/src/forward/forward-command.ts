import { closeRoute, openDuplex, type Route } from '@fairlead/client';
import { formatHostPort } from '@fairlead/runtime/net';
import { defineOptions, kinds, option, type ParsedOptions } from '@fairlead/runtime/options';
import { release, runCommand, StartupError } from '@fairlead/runtime/process';
import { explainFailure, isFrontEndFault } from '../explain-failure.ts';
import { proxyOptions, proxyRoute } from '../proxy-options.ts';
import { type ForwardSpec, parseForwardSpec } from './forward-spec.ts';
import { ForwardedPort } from './forwarded-port.ts';

const most = 100;
/** How long a target may take to end after the client has. */
const probeEndMs = 2000;

const table = defineOptions({
  program: 'fairlead forward',
  summary: 'Make targets reachable on local ports, through a running server',
  positionals: { usage: 'LOCAL:HOST:PORT', min: 1, max: most },
  options: {
    ...proxyOptions,
    'proxy-protocol': option(kinds.oneOf('http1', 'http2'), {
      group: 'Front end',
      description:
        'How to ask for streams: a connection each with HTTP/1.1 CONNECT, or all over one HTTP/2 connection',
      default: 'http1',
    }),
    address: option(kinds.host, {
      group: 'Local side',
      description: 'Address to listen on; whoever reaches it reaches the target',
      default: '127.0.0.1',
    }),
    timeout: option(kinds.duration({ minMs: 1 }), {
      group: 'Front end',
      description: 'How long to wait for a stream to be opened',
      default: 60_000,
    }),
    quiet: option(kinds.boolean, {
      group: 'Local side',
      description: 'No line for each connection',
      default: false,
    }),
  },
});

type ForwardFlags = ParsedOptions<typeof table.options>['options'];

async function forward({
  options: flags,
  positionals,
}: ParsedOptions<typeof table.options>): Promise<void> {
  const tell = (text: string) => process.stderr.write(`${table.program}: ${text}\n`);
  const specs = positionals.map(parseForwardSpec);
  const way = proxyRoute(flags, (text) => tell(`warning: ${text}`));
  const by = flags.proxyProtocol === 'http2' ? 'http2-connect' : 'connect';
  const routeTo = ({ target }: ForwardSpec): Route => ({ ...way, by, target, isEager: true });
  // A route's connections are shared by its identity.
  const routes = specs.map(routeTo);
  const ports: ForwardedPort[] = [];
  try {
    await probe(routes[0]!, flags, tell);
    for (const [at, spec] of specs.entries()) {
      ports.push(await start(spec, routes[at]!, flags, tell));
    }
  } catch (error) {
    for (const port of ports) port.close();
    for (const route of routes) closeRoute(route);
    throw error;
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(0));
}

/** `fairlead forward`. */
export const runForwardCommand = (argv: readonly string[]): Promise<void> =>
  runCommand({ table, ...release, run: forward }, { argv, env: process.env });

/** What is wrong with the front end is said at once; a target may come up later. */
async function probe(
  route: Route,
  { timeout }: ForwardFlags,
  tell: (text: string) => void,
): Promise<void> {
  try {
    const stream = await openDuplex(route, timeout);
    stream.on('error', () => {});
    // In order: a reset might upset the target.
    stream.resume().end();
    setTimeout(() => stream.destroy(), probeEndMs).unref();
  } catch (error) {
    const told = explainFailure(error as Error, route);
    if (isFrontEndFault(error as Error)) throw new StartupError(told, { cause: error });
    tell(`warning: ${told}`);
  }
}

async function start(
  { localPort, target }: ForwardSpec,
  route: Route,
  { address, timeout, quiet }: ForwardFlags,
  tell: (text: string) => void,
): Promise<ForwardedPort> {
  let bound = localPort;
  const port = new ForwardedPort({
    route,
    host: address,
    port: localPort,
    timeoutMs: timeout,
    onConnection: () => {
      if (!quiet) process.stdout.write(`Handling connection for ${bound}\n`);
    },
    onFailure: (error) => tell(`connection for ${bound}: ${explainFailure(error, route)}`),
  });
  const place = await port.listen();
  bound = place.port;
  const local = formatHostPort({ host: place.address, port: place.port });
  process.stdout.write(`Forwarding from ${local} -> ${formatHostPort(target)}\n`);
  return port;
}
