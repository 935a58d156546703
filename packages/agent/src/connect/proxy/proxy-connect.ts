import { type IncomingMessage, request as requestHttp1 } from 'node:http';
import type { Duplex } from 'node:stream';
import { formatTarget, type Target } from '@fairlead/protocol';
import { type ClientHttp2Stream, request as requestHttp2 } from 'http2-wrapper';
import type { ConnectAttempt } from '../connect-attempt.ts';
import { ConnectError } from '../connect-error.ts';
import { closeWithStream, startHttp2 } from '../http2-session.ts';
import { startTls } from '../server-connection.ts';
import type { EgressProxy } from './egress-proxy.ts';

/**
 * Opens a connection to a server through a proxy: CONNECT over HTTP/1.1 (RFC 9110 section 9.3.6),
 * or over HTTP/2 (RFC 9113 section 8.5) where a proxy reached by TLS prefers that.
 * @throws ConnectError `proxy_failed`, whatever is wrong with the proxy; the text names it
 */
export async function connectThroughProxy(
  attempt: ConnectAttempt,
  proxy: EgressProxy,
  endpoint: Target,
): Promise<Duplex> {
  try {
    const { socket, http2 } = await reach(attempt, proxy);
    const doing = `waiting for the egress proxy ${proxy.name} to reach ${formatTarget(endpoint)}`;
    attempt.begin(doing, 'proxy_failed');
    const connect = http2 ? connectByHttp2 : connectByHttp1;
    return await connect(attempt, proxy, socket, endpoint);
  } catch (error) {
    throw proxyError(proxy, error);
  }
}

function proxyError(proxy: EgressProxy, error: unknown): ConnectError {
  if (error instanceof ConnectError && error.reason === 'cancelled') return error;
  const detail = error instanceof Error ? error.message : String(error);
  return new ConnectError('proxy_failed', `egress proxy ${proxy.name}: ${detail}`, {
    cause: error,
  });
}

async function reach(
  attempt: ConnectAttempt,
  proxy: EgressProxy,
): Promise<{ socket: Duplex; http2: boolean }> {
  const { host, port } = proxy;
  const socket = await attempt.dial({ host, port });
  if (!proxy.secure) return { socket, http2: false };
  const { socket: secured } = await startTls(attempt, socket, {
    endpoint: { host, port },
    context: proxy.tls ?? {},
    protocols: ['h2', 'http/1.1'],
  });
  return { socket: secured, http2: secured.alpnProtocol === 'h2' };
}

function connectByHttp1(
  attempt: ConnectAttempt,
  proxy: EgressProxy,
  socket: Duplex,
  endpoint: Target,
): Promise<Duplex> {
  const authority = formatTarget(endpoint);
  const request = attempt.own(
    requestHttp1({
      createConnection: () => socket,
      method: 'CONNECT',
      path: authority,
      headers: { host: authority, ...authorization(proxy) },
    }),
  );
  return new Promise((resolve, reject) => {
    request.once('error', reject);
    request.once('connect', ({ statusCode, statusMessage }, connected: Duplex, head: Buffer) => {
      if (!isSuccess(statusCode)) {
        reject(refusal(authority, statusCode, statusMessage));
        return;
      }
      if (head.length > 0) connected.unshift(head);
      resolve(connected);
    });
    request.end();
  });
}

function connectByHttp2(
  attempt: ConnectAttempt,
  proxy: EgressProxy,
  socket: Duplex,
  endpoint: Target,
): Promise<Duplex> {
  const authority = formatTarget(endpoint);
  const session = attempt.own(startHttp2(socket, proxy));
  const request = attempt.own(
    requestHttp2({
      h2session: session,
      method: 'CONNECT',
      path: authority,
      headers: authorization(proxy),
    }),
  );
  return new Promise((resolve, reject) => {
    request.once('error', reject);
    session.once('error', reject);
    request.once('connect', ({ statusCode }: IncomingMessage, stream: ClientHttp2Stream) => {
      if (!isSuccess(statusCode)) {
        reject(refusal(authority, statusCode));
        return;
      }
      closeWithStream(session, stream);
      resolve(attempt.own(stream));
    });
    // Not end(): the request's body is the connection.
    request.flushHeaders();
  });
}

/** RFC 9110 section 9.3.6: any 2xx opens the tunnel. */
function isSuccess(status: number | undefined): boolean {
  return status !== undefined && status >= 200 && status < 300;
}

function authorization({ authorization }: EgressProxy): Record<string, string> {
  return authorization === undefined ? {} : { 'proxy-authorization': authorization };
}

function refusal(authority: string, status: number | undefined, text = ''): Error {
  const cure = status === 407 ? '; give a user and a password in its URL' : '';
  return new Error(`CONNECT ${authority} was answered with ${status} ${text}`.trim() + cure);
}
