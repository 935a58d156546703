import type { Route } from '@fairlead/client';
import { type HttpTls, httpMethods, type LoadOrder } from '@fairlead/client/load';
import { formatHostPort, parseHostPort } from '@fairlead/runtime/net';
import { UsageError } from '@fairlead/runtime/process';
import { proxyRoute } from '../proxy-options.ts';
import { readTlsFlags } from '../tls-flags.ts';
import type { BenchFlags } from './bench-options.ts';

/** The kind of load, as in reports. */
export type BenchMode = 'http' | 'https' | 'echo' | 'open' | 'upload' | 'download';

export interface BenchPlan {
  readonly mode: BenchMode;
  readonly order: LoadOrder;
  readonly route: Route;
  readonly target: string;
  readonly targetTls?: HttpTls;
  readonly payloadBytes?: number;
}

const defaultPayloadBytes = { echo: 128, upload: 65_536 } as const;
const protocols = { http1: 'connect', http2: 'http2-connect', grpc: 'grpc' } as const;

/** @throws UsageError with flag, file and cure */
export function planBench(flags: BenchFlags, warn: (text: string) => void): BenchPlan {
  const url = readTarget(flags.target);
  const route: Route = {
    ...proxyRoute(flags, warn),
    by: protocols[flags.proxyProtocol],
    target: url.address,
    ...(flags.proxyProtocol === 'http2' ? { connections: flags.connections, isEager: true } : {}),
  };
  if (flags.connections > 1 && flags.proxyProtocol !== 'http2') {
    throw new UsageError(
      '--connections: only --proxy-protocol=http2 shares connections. Set --streams instead',
    );
  }
  return url.scheme === 'tcp' ? planTcp(flags, route) : planHttp(flags, route, url, warn);
}

function planTcp(flags: BenchFlags, route: Route): BenchPlan {
  refuseHttpFlags(flags);
  const { mode = 'echo', payload, rate } = flags;
  if (rate !== undefined && (mode === 'upload' || mode === 'download')) {
    throw new UsageError(`--rate: --mode=${mode} has no single requests to pace. Remove the flag`);
  }
  if (payload !== undefined && (mode === 'open' || mode === 'download')) {
    throw new UsageError(`--payload: --mode=${mode} sends one byte. Remove the flag`);
  }
  const base = { route, ...common(flags) };
  const target = `tcp://${formatHostPort(route.target)}`;
  switch (mode) {
    case 'echo': {
      const payloadBytes = payload ?? defaultPayloadBytes.echo;
      const order = { kind: 'echo', ...base, messageBytes: payloadBytes, pauseMs: 0 } as const;
      return { mode, order, route, target, payloadBytes };
    }
    case 'open':
      return { mode, order: { kind: 'open', ...base }, route, target };
    case 'upload': {
      const payloadBytes = payload ?? defaultPayloadBytes.upload;
      const order = { kind: 'bulk-up', ...base, writeBytes: payloadBytes } as const;
      return { mode, order, route, target, payloadBytes };
    }
    case 'download':
      return { mode, order: { kind: 'bulk-down', ...base }, route, target };
  }
}

function planHttp(
  flags: BenchFlags,
  route: Route,
  { scheme, path }: ReturnType<typeof readTarget>,
  warn: (text: string) => void,
): BenchPlan {
  if (flags.mode !== undefined) {
    throw new UsageError(
      '--mode: is for tcp:// targets. Remove the flag, or set --target to tcp://HOST:PORT',
    );
  }
  const isHttps = scheme === 'https';
  const targetTls = isHttps ? readTargetTls(flags, warn) : refuseTargetTls(flags);
  const { payload, method = payload === undefined ? 'GET' : 'POST' } = flags;
  if (!httpMethods.includes(method)) {
    throw new UsageError(`--method "${method}": is not one of ${httpMethods.join(', ')}`);
  }
  const order: LoadOrder = {
    kind: 'http',
    route,
    ...common(flags),
    tls: targetTls ?? false,
    reconnect: flags.newConnections,
    path,
    method,
    headers: readHeaders(flags.header),
    ...(payload === undefined ? {} : { bodyBytes: payload }),
  };
  return {
    mode: isHttps ? 'https' : 'http',
    order,
    route,
    target: `${scheme}://${formatHostPort(route.target)}${path}`,
    ...(targetTls === undefined ? {} : { targetTls }),
    ...(payload === undefined ? {} : { payloadBytes: payload }),
  };
}

function common({ streams, ramp, rate, timeout }: BenchFlags) {
  return {
    streams,
    rampMs: ramp,
    isLasting: true,
    timeoutMs: timeout,
    ...(rate === undefined ? {} : { ratePerSecond: rate }),
  };
}

const defaultPorts = { http: 80, https: 443, tcp: undefined } as const;

function readTarget(written: string) {
  const match = /^(https?|tcp):\/\/([^/?#]+)([/?][^#\s]*)?$/i.exec(written);
  if (!match) {
    throw new UsageError(
      `--target "${written}": is not a URL. Write http://HOST:PORT/PATH, https://HOST:PORT/PATH or tcp://HOST:PORT`,
    );
  }
  const scheme = match[1]!.toLowerCase() as keyof typeof defaultPorts;
  const hostPort = match[2]!;
  const port = defaultPorts[scheme];
  const address = parseHostPort(hostPort) ?? (port && parseHostPort(`${hostPort}:${port}`));
  if (!address) {
    throw new UsageError(
      `--target "${written}": "${hostPort}" is not HOST:PORT (IPv6 as [ADDRESS]:PORT)`,
    );
  }
  const path = match[3] ?? '/';
  if (scheme === 'tcp' && path !== '/') {
    throw new UsageError(`--target "${written}": a tcp:// target has no path. Remove "${path}"`);
  }
  return { scheme, address, path: path.startsWith('/') ? path : `/${path}` };
}

function readTargetTls(flags: BenchFlags, warn: (text: string) => void): HttpTls {
  const { targetCaCert, targetCert, targetKey, targetInsecure } = flags;
  if (targetInsecure && targetCaCert !== undefined) {
    throw new UsageError(
      '--target-insecure and --target-ca-cert exclude each other. Set one of them',
    );
  }
  const files = { ca: targetCaCert, cert: targetCert, key: targetKey };
  const tls = readTlsFlags('target', files, warn);
  return { ...tls, ...(targetInsecure ? { takesAny: true } : {}) };
}

function refuseTargetTls(flags: BenchFlags): undefined {
  const { targetCaCert, targetCert, targetKey, targetInsecure } = flags;
  if (targetCaCert !== undefined || targetCert !== undefined || targetKey !== undefined) {
    throw new UsageError('--target-ca-cert, --target-cert, --target-key: are for https:// targets');
  }
  if (targetInsecure) throw new UsageError('--target-insecure: is for https:// targets');
  return undefined;
}

function refuseHttpFlags(flags: BenchFlags): void {
  refuseTargetTls(flags);
  if (flags.method !== undefined) throw new UsageError('--method: is for http:// targets');
  if (flags.header.length > 0) throw new UsageError('--header: is for http:// targets');
  if (flags.newConnections) {
    throw new UsageError('--new-connections: is for http:// targets. Set --mode=open instead');
  }
}

function readHeaders(rows: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const row of rows) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*(.*)$/.exec(row);
    // The message leaves the row out, because it can contain a token.
    if (!match) throw new UsageError('--header: is not NAME: VALUE');
    headers[match[1]!] = match[2]!;
  }
  return headers;
}
