import { kinds, optionsIn } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import type { ServerOptions } from '../options.ts';

const option = optionsIn('Front end (where kube-apiserver and other clients enter)');
const defaultPort = 8090;

export const frontEndOptions = {
  'server-cert': option(kinds.filePath, {
    description: 'Certificate (PEM) that the front end shows to clients over TCP',
  }),
  'server-key': option(kinds.filePath, { description: 'Private key (PEM) of --server-cert' }),
  'server-ca-cert': option(kinds.filePath, {
    description: 'CA certificates (PEM) that sign the certificates of clients',
  }),
  'server-port': option(kinds.listenPort, {
    description: 'TCP port of the front end, with mutual TLS; 0 lets the system pick one',
    defaultText: '8090, or disabled if --uds-name is set, where 0 also disables it',
  }),
  'server-bind-address': option(kinds.host, {
    description: 'Address on which --server-port listens',
    defaultText: 'all',
  }),
  'uds-name': option(kinds.filePath, {
    description: 'Path of the Unix domain socket of the front end',
  }),
  'delete-existing-uds-file': option(kinds.boolean, {
    description: 'Replace an existing socket file if no process listens on it',
    default: true,
  }),
  'uds-takeover': option(kinds.boolean, {
    description: 'Replace an existing socket file even if another process listens on it',
    default: false,
  }),
  'frontend-policy': option(kinds.filePath, {
    description: 'Policy file, YAML or JSON: which callers may reach which targets',
    defaultText: 'every caller may reach every target',
  }),
  mode: option(kinds.oneOf('grpc', 'http-connect'), {
    description: 'Serve only this protocol',
    defaultText: 'both, detected by the first bytes',
  }),
};

/**
 * The TCP port of the front end: 0 lets the system pick one, undefined disables TCP. As in Konnectivity, a server
 * with a Unix domain socket opens TCP only on request, and 0 is not a request.
 */
export function frontEndPort(
  options: Pick<ServerOptions, 'serverPort' | 'udsName'>,
): number | undefined {
  if (options.udsName === undefined) return options.serverPort ?? defaultPort;
  return options.serverPort === 0 ? undefined : options.serverPort;
}

/** @throws UsageError for a TCP port without its TLS files */
export function checkFrontEnd(options: ServerOptions, warn: (text: string) => void): void {
  const port = frontEndPort(options);
  if (port === undefined) {
    const isClosedByDefault = options.serverPort === undefined;
    if (isClosedByDefault && (options.serverCert ?? options.serverCaCert) !== undefined) {
      warn(
        '--server-cert and --server-ca-cert have no effect: with --uds-name, no TCP port is open. Set --server-port to open one, or to 0 to omit it',
      );
    }
    return;
  }
  const missing = [
    !options.serverCert && '--server-cert',
    !options.serverKey && '--server-key',
    !options.serverCaCert && '--server-ca-cert',
  ].filter(Boolean);
  if (missing.length > 0) {
    const cure =
      options.udsName === undefined ? ' or use --uds-name' : ' or leave --server-port out';
    throw new UsageError(
      `${missing.join(', ')} missing: the front end on port ${port} takes mutual TLS only; give the files${cure}`,
    );
  }
}
