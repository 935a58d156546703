import { sensitiveHeaders } from 'node:http2';
import { DuplexTransport } from '@fairlead/protocol';
import { TUNNEL_CONTENT_TYPE, TUNNEL_PATH } from '@fairlead/protocol/internal';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'http2-wrapper';
import { authorizationHeader } from '../identity/agent-token.ts';
import { ConnectAttempt, type Connector } from './connect-attempt.ts';
import { closeWithStream, startHttp2 } from './http2-session.ts';
import { refusedByHttp } from './refused-by-http.ts';
import { openServerConnection } from './server-connection.ts';
import { closedEarly } from './tls-error.ts';

/** Frames in the bodies of an HTTP/2 POST and its answer (spec 10.3). */
export const connectHttp2: Connector = (endpoint, tls, options) =>
  ConnectAttempt.run(options, async (attempt) => {
    const authorization = authorizationHeader(options.tokenPath);
    const { socket, peer, explain } = await openServerConnection(attempt, endpoint, tls, 'h2');
    attempt.begin(`waiting for the HTTP/2 answer of ${peer.address}`);
    const session = attempt.own(startHttp2(socket, { host: peer.name, port: endpoint.port }));
    const stream = attempt.own(post(session, authorization));
    const { ':status': status, ...headers } = await new Promise<
      IncomingHttpHeaders & { ':status'?: number }
    >((resolve, reject) => {
      stream.once('response', resolve);
      stream.once('error', (error) => reject(explain(error)));
      session.once('error', (error) => reject(explain(error)));
      stream.once('close', () => reject(closedEarly(peer)));
    });
    if (status !== 200) throw await refusedByHttp(peer.address, status, headers, stream);
    closeWithStream(session, stream);
    return new DuplexTransport(stream, 'http2');
  });

/** The head leaves at once: the body is the tunnel and has nothing to say yet. */
function post(
  session: ClientHttp2Session,
  authorization: { readonly authorization?: string },
): ClientHttp2Stream {
  return session.request(
    {
      ':method': 'POST',
      ':path': TUNNEL_PATH,
      'content-type': TUNNEL_CONTENT_TYPE,
      ...authorization,
      [sensitiveHeaders]: ['authorization'],
    },
    { endStream: false },
  );
}
