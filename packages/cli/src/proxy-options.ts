/** The options of commands that are clients of a front end. */
import type { ClientTls, Route, TcpAddress } from '@fairlead/client';
import { formatHostPort, parseHostPort } from '@fairlead/runtime/net';
import {
  kinds,
  type OptionDeclarations,
  type OptionValues,
  option,
} from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import { readTlsFlags } from './tls-flags.ts';

/** Length of `sun_path` on Linux, without its closing zero byte. */
const maxPathBytes = 107;

export const proxyOptions = {
  proxy: option(
    { ...kinds.text, placeholder: 'unix:PATH|https://HOST:PORT' },
    {
      group: 'Front end',
      description: "The server's front end: its --uds-name as unix:PATH, or https://HOST:PORT",
      required: true,
    },
  ),
  'proxy-ca-cert': option(kinds.filePath, {
    group: 'Front end',
    description: "CA of the front end's certificate; with https://",
    defaultText: "Node's public CAs",
  }),
  'proxy-cert': option(kinds.filePath, {
    group: 'Front end',
    description: 'Client certificate for the front end; with https://',
  }),
  'proxy-key': option(kinds.filePath, {
    group: 'Front end',
    description: 'Key of --proxy-cert',
  }),
  'proxy-server-name': option(kinds.host, {
    group: 'Front end',
    description: "Name in the front end's certificate, if it is not the host in --proxy",
  }),
} satisfies OptionDeclarations;

export type ProxyFlags = OptionValues<typeof proxyOptions>;

/**
 * The route to the front end, without a target.
 * @throws UsageError with flag, file and cure
 */
export function proxyRoute(flags: ProxyFlags, warn: (text: string) => void): Omit<Route, 'target'> {
  const { proxy } = flags;
  const path = /^unix:(?:\/\/)?(.+)$/.exec(proxy)?.[1];
  if (path !== undefined) {
    refuseTlsFlags(flags);
    checkPathLength(path);
    return { address: { path }, by: 'connect' };
  }
  const address = readHttpsAddress(proxy);
  return { address, tls: readTls(flags, warn), by: 'connect' };
}

export function proxyName({ address }: Pick<Route, 'address'>): string {
  return 'path' in address ? `unix:${address.path}` : `https://${formatHostPort(address)}`;
}

function checkPathLength(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > maxPathBytes) {
    throw new UsageError(
      `--proxy: the socket path has ${bytes} bytes, at most ${maxPathBytes} fit into a socket address. Use a shorter or a relative path`,
    );
  }
}

function readHttpsAddress(proxy: string): TcpAddress {
  const written = /^https:\/\/([^/]+)\/?$/i.exec(proxy)?.[1];
  if (written === undefined) {
    const cure = proxy.startsWith('http://')
      ? 'a front end on TCP uses TLS. Write https://HOST:PORT'
      : 'it is not a front end. Write unix:PATH or https://HOST:PORT';
    throw new UsageError(`--proxy "${proxy}": ${cure}`);
  }
  const address = parseHostPort(written);
  if (!address) {
    throw new UsageError(
      `--proxy "${proxy}": "${written}" is not HOST:PORT (IPv6 as [ADDRESS]:PORT); the port is the server's --server-port`,
    );
  }
  return address;
}

function readTls(flags: ProxyFlags, warn: (text: string) => void): ClientTls {
  const { proxyCaCert: ca, proxyCert: cert, proxyKey: key, proxyServerName } = flags;
  return {
    ...readTlsFlags('proxy', { ca, cert, key }, warn),
    ...(proxyServerName === undefined ? {} : { serverName: proxyServerName }),
  };
}

function refuseTlsFlags(flags: ProxyFlags): void {
  const given = [
    ['proxy-ca-cert', flags.proxyCaCert],
    ['proxy-cert', flags.proxyCert],
    ['proxy-key', flags.proxyKey],
    ['proxy-server-name', flags.proxyServerName],
  ] as const;
  const first = given.find(([, value]) => value !== undefined);
  if (first) {
    throw new UsageError(
      `--${first[0]}: a Unix domain socket has no TLS. Remove the flag, or set --proxy to https://HOST:PORT`,
    );
  }
}
