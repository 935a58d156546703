import { createServer, type IncomingMessage } from 'node:http';
import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import { createServer as createSecureHttpServer } from 'node:https';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { Test } from 'tap';
import type { Credentials } from '../certificates.ts';
import { listenForTest, type TestServer } from '../tunnel-servers.ts';

export interface TestProxy extends TestServer {
  /** `authority proxy-authorization` of each request. */
  readonly requests: string[];
}

export interface ProxyOptions {
  /** Answers each CONNECT with this status instead of serving it. */
  readonly refuseWith?: number;
  /** Accepts requests and never answers. */
  readonly silent?: boolean;
  /** Interim answers before the final one, with their fields: `100 Continue`. */
  readonly interim?: readonly string[];
  /** The values of Proxy-Authenticate in a refusal. */
  readonly challenges?: readonly string[];
  /** Further fields of a 200 over HTTP/1.1. */
  readonly fields?: string;
}

function dial(authority: string | undefined): net.Socket {
  const { hostname, port } = new URL(`tcp://${authority}`);
  return net.connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) });
}

function join(client: Duplex, upstream: net.Socket): void {
  client.pipe(upstream).pipe(client);
  client.on('error', () => upstream.destroy());
  client.on('close', () => upstream.destroy());
  upstream.on('error', () => client.destroy());
  upstream.on('close', () => client.destroy());
}

function onHttp1Connect(requests: string[], options: ProxyOptions) {
  const { refuseWith, silent, interim = [], challenges = [], fields = '' } = options;
  return ({ url, headers }: IncomingMessage, client: Duplex) => {
    requests.push(`${url} ${headers['proxy-authorization'] ?? '-'}`);
    client.on('error', () => {});
    if (silent) {
      client.resume().on('end', () => client.end());
      return;
    }
    for (const head of interim) client.write(`HTTP/1.1 ${head}\r\n\r\n`);
    if (refuseWith !== undefined) {
      const lines = challenges.map((value) => `Proxy-Authenticate: ${value}\r\n`).join('');
      client.end(`HTTP/1.1 ${refuseWith} Not You\r\n${lines}\r\n`);
      return;
    }
    const upstream = dial(url);
    upstream.once('connect', () => {
      client.write(`HTTP/1.1 200 OK\r\n${fields}\r\n`);
      join(client, upstream);
    });
    upstream.once('error', () => client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
  };
}

/** Starts a proxy with HTTP/1.1, over TLS if `credentials` is set. */
export async function startHttp1Proxy(
  t: Test,
  credentials?: Credentials,
  options: ProxyOptions = {},
): Promise<TestProxy> {
  const requests: string[] = [];
  const server = credentials
    ? createSecureHttpServer({ ...credentials, ALPNProtocols: ['http/1.1'] })
    : createServer();
  server.on('connect', onHttp1Connect(requests, options));
  return { ...(await listenForTest(t, server)), requests };
}

/** Starts a proxy with HTTP/2 over TLS. */
export async function startHttp2Proxy(
  t: Test,
  credentials: Credentials,
  { refuseWith, silent, interim = [], challenges = [] }: ProxyOptions = {},
): Promise<TestProxy> {
  const requests: string[] = [];
  const server = createSecureServer({ ...credentials });
  server.on('sessionError', () => {});
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    const { ':authority': authority, 'proxy-authorization': authorization } = headers;
    requests.push(`${authority} ${authorization ?? '-'}`);
    if (silent) return;
    for (const head of interim) stream.additionalHeaders({ ':status': Number.parseInt(head, 10) });
    if (refuseWith !== undefined) {
      const authenticate = { 'proxy-authenticate': [...challenges] };
      stream.respond({ ':status': refuseWith, ...authenticate }, { endStream: true });
      return;
    }
    const upstream = dial(authority);
    upstream.once('connect', () => {
      stream.respond({ ':status': 200 });
      join(stream, upstream);
    });
    upstream.once('error', () => {
      if (!stream.headersSent) stream.respond({ ':status': 502 }, { endStream: true });
    });
  });
  return { ...(await listenForTest(t, server)), requests };
}
