import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { formatTarget, type Target } from '@fairlead/protocol';
import { type ClientHttp2Stream, request as requestHttp2 } from 'http2-wrapper';
import type { ConnectAttempt } from '../connect-attempt.ts';
import { ConnectError } from '../connect-error.ts';
import { closeWithStream, startHttp2 } from '../http2-session.ts';
import { startTls } from '../start-tls.ts';
import { type ConnectAnswer, readConnectAnswer, schemesOf } from './connect-answer.ts';
import type { EgressProxy } from './egress-proxy.ts';

/**
 * Opens a TCP connection to an endpoint. If the attempt has a proxy, it goes through the proxy: by CONNECT
 * over HTTP/1.1 (RFC 9110 section 9.3.6), or over HTTP/2 (RFC 9113 section 8.5) if an https proxy prefers it.
 * @throws ConnectError; for any failure at the proxy `proxy_failed`, whose text names the proxy
 */
export async function openSocket(attempt: ConnectAttempt, endpoint: Target): Promise<Duplex> {
  const { proxy } = attempt.options;
  if (!proxy) return attempt.dial(endpoint);
  const authority = formatTarget(endpoint);
  try {
    const { socket, isHttp2 } = await openProxy(attempt, proxy);
    attempt.begin(
      `waiting for the egress proxy ${proxy.name} to reach ${authority}`,
      'proxy_failed',
    );
    return isHttp2
      ? await connectByHttp2(attempt, proxy, socket, authority)
      : await connectByHttp1(proxy, socket, authority);
  } catch (error) {
    if (error instanceof ConnectError && error.reason === 'cancelled') throw error;
    const detail = error instanceof Error ? error.message : String(error);
    const { name, variable } = proxy;
    const text =
      variable === undefined
        ? `egress proxy ${name}: ${detail}`
        : `egress proxy ${name} (from ${variable}): ${detail}; to connect without it, list ${endpoint.host} in NO_PROXY`;
    throw new ConnectError('proxy_failed', text, { cause: error });
  }
}

async function openProxy(attempt: ConnectAttempt, proxy: EgressProxy) {
  const { host, port, secure, tls = {} } = proxy;
  const endpoint = { host, port };
  const socket = await attempt.dial(endpoint);
  if (!secure) return { socket, isHttp2: false };
  const protocols = ['h2', 'http/1.1'];
  const secured = await startTls(attempt, socket, { endpoint, context: tls, protocols });
  return { socket: secured.socket, isHttp2: secured.socket.alpnProtocol === 'h2' };
}

async function connectByHttp1(
  proxy: EgressProxy,
  socket: Duplex,
  authority: string,
): Promise<Duplex> {
  const fields = Object.entries({ host: authority, ...authorization(proxy) });
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`CONNECT ${authority} HTTP/1.1\r\n${lines.join('')}\r\n`);
  const answer = await readConnectAnswer(socket);
  if (!isSuccess(answer.status)) throw refusal(proxy, authority, answer);
  return socket;
}

function connectByHttp2(
  attempt: ConnectAttempt,
  proxy: EgressProxy,
  socket: Duplex,
  authority: string,
): Promise<Duplex> {
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
    request.once('connect', (answer: IncomingMessage, stream: ClientHttp2Stream) => {
      const { statusCode: status = 0, headers } = answer;
      if (!isSuccess(status)) {
        const { 'proxy-authenticate': challenges = [] } = headers;
        reject(refusal(proxy, authority, { status, text: '', challenges: [challenges].join() }));
        return;
      }
      closeWithStream(session, stream);
      resolve(attempt.own(stream));
    });
    // Without end(): the body of the request is the connection.
    request.flushHeaders();
  });
}

/** RFC 9110 section 9.3.6: any 2xx opens the tunnel. */
function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

function authorization({ authorization }: EgressProxy): Record<string, string> {
  return authorization === undefined ? {} : { 'proxy-authorization': authorization };
}

function refusal(proxy: EgressProxy, authority: string, answer: ConnectAnswer): Error {
  const { status, text } = answer;
  const cure = status === 407 ? cureOf407(proxy, schemesOf(answer.challenges)) : '';
  return new Error(`CONNECT ${authority} was answered with ${status} ${text}`.trim() + cure);
}

function cureOf407(proxy: EgressProxy, schemes: readonly string[]): string {
  const offer = schemes.length > 0 ? `. The proxy offers ${schemes.join(', ')}` : '';
  if (offer !== '' && !schemes.some((scheme) => scheme.toLowerCase() === 'basic')) {
    return `${offer}, but agents only support Basic. Enable Basic on the proxy, or exempt the agent`;
  }
  if (proxy.authorization === undefined) return `${offer}. Put a user and a password into its URL`;
  return `${offer}. Correct the user and the password in its URL`;
}
