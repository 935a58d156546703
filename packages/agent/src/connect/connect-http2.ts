import { type OutgoingHttpHeaders, sensitiveHeaders } from 'node:http2';
import { DuplexTransport, type Target, TUNNEL_CONTENT_TYPE, TUNNEL_PATH } from '@fairlead/protocol';
import type { IncomingHttpHeaders } from 'http2-wrapper';
import { authorizationHeader } from '../identity/agent-token.ts';
import { type Connect, ConnectAttempt } from './connect-attempt.ts';
import { refusedByHttp } from './connect-error.ts';
import { closeWithStream, startHttp2 } from './http2-session.ts';
import { openServerConnection, type TunnelTlsOptions } from './server-connection.ts';
import { closedEarly } from './tls-error.ts';

/** Frames in the bodies of an HTTP/2 POST and its answer (spec 10.3). */
export const connectHttp2: Connect = (endpoint, tls, options) =>
  ConnectAttempt.run(options, async (attempt) => {
    const { session, stream } = await post(attempt, endpoint, tls, 'HTTP/2', {
      ':path': TUNNEL_PATH,
      'content-type': TUNNEL_CONTENT_TYPE,
      ...authorizationHeader(options.tokenPath),
    });
    closeWithStream(session, stream);
    return new DuplexTransport(stream, 'http2');
  });

/**
 * Sends the head of a POST over HTTP/2, whose body is the tunnel.
 * @param name of the protocol, for the text of a timeout
 * @returns the stream, and the headers of an answer with status 200
 * @throws ConnectError
 */
export async function post(
  attempt: ConnectAttempt,
  endpoint: Target,
  tls: TunnelTlsOptions,
  name: string,
  headers: OutgoingHttpHeaders,
) {
  const { socket, peer, explain } = await openServerConnection(attempt, endpoint, tls, 'h2');
  const { address } = peer;
  attempt.begin(`waiting for the ${name} answer of ${address}`);
  const session = attempt.own(startHttp2(socket, { host: peer.name, port: endpoint.port }));
  const head = { ':method': 'POST', ...headers, [sensitiveHeaders]: ['authorization'] };
  // The head leaves at once: the body has no bytes yet.
  const stream = attempt.own(session.request(head, { endStream: false }));
  const { ':status': status, ...answer } = await new Promise<
    IncomingHttpHeaders & { ':status'?: number }
  >((resolve, reject) => {
    stream.once('response', resolve);
    stream.once('error', (error) => reject(explain(error)));
    session.once('error', (error) => reject(explain(error)));
    stream.once('close', () => reject(closedEarly(peer)));
  });
  if (status !== 200) throw await refusedByHttp(address, status, answer, stream);
  return { address, session, stream, answer };
}
