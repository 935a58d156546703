import { type OutgoingHttpHeaders, sensitiveHeaders } from 'node:http2';
import { CONNECT_METHOD, errorFromTrailers, type GrpcError } from '@fairlead/konnectivity';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'http2-wrapper';
import { authorizationHeader } from '../identity/agent-token.ts';
import { version } from '../version.ts';
import { ConnectAttempt, type ConnectOptions, type Connector } from './connect-attempt.ts';
import { ConnectError } from './connect-error.ts';
import { closeWithStream, startHttp2 } from './http2-session.ts';
import { refusedByHttp } from './refused-by-http.ts';
import { openServerConnection } from './server-connection.ts';
import { closedEarly } from './tls-error.ts';

/** A call to a Konnectivity server that has accepted this agent, before the first packet. */
export interface GrpcConnection {
  readonly kind: 'grpc';
  readonly session: ClientHttp2Session;
  readonly stream: ClientHttp2Stream;
  /** What the server says of itself, as in HELLO. */
  readonly serverId: string;
  readonly serverCount: number;
  /** Closes at once; for a connection that is not wanted after all. */
  destroy(): void;
}

/** `AgentService/Connect` of a Konnectivity server: its packets instead of our frames. */
export const connectGrpc: Connector<GrpcConnection> = (endpoint, tls, options) =>
  ConnectAttempt.run(options, async (attempt) => {
    const metadata = metadataOf(options);
    const { socket, peer, explain } = await openServerConnection(attempt, endpoint, tls, 'h2');
    attempt.begin(`waiting for the gRPC answer of ${peer.address}`);
    const session = attempt.own(startHttp2(socket, { host: peer.name, port: endpoint.port }));
    const stream = attempt.own(call(session, metadata));
    const head = await new Promise<IncomingHttpHeaders & { ':status'?: number }>(
      (resolve, reject) => {
        stream.once('response', resolve);
        stream.once('error', (error) => reject(explain(error)));
        session.once('error', (error) => reject(explain(error)));
        stream.once('close', () => reject(closedEarly(peer)));
      },
    );
    const { ':status': status, ...headers } = head;
    if (status !== 200) throw await refusedByHttp(peer.address, status, headers, stream);
    if (headers['grpc-status'] !== undefined) {
      throw refusedByStatus(peer.address, errorFromTrailers(headers));
    }
    const { serverid: serverId, servercount } = headers;
    const serverCount = Number(servercount);
    if (typeof serverId !== 'string' || !Number.isInteger(serverCount)) {
      const text = `the server at ${peer.address} did not say its serverID and serverCount`;
      throw new ConnectError('protocol_mismatch', text);
    }
    closeWithStream(session, stream);
    const destroy = () => session.destroy();
    return { kind: 'grpc', session, stream, serverId, serverCount, destroy };
  });

function call(session: ClientHttp2Session, metadata: OutgoingHttpHeaders): ClientHttp2Stream {
  return session.request(
    {
      ':method': 'POST',
      ':path': CONNECT_METHOD,
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': `fairlead-agent/${version}`,
      ...metadata,
    },
    { endStream: false },
  );
}

function metadataOf({ grpcIdentity, tokenPath }: ConnectOptions): OutgoingHttpHeaders {
  const { agentId = '', agentIdentifiers = '' } = grpcIdentity ?? {};
  return {
    agentid: agentId,
    agentidentifiers: agentIdentifiers,
    ...authorizationHeader(tokenPath),
    [sensitiveHeaders]: ['authorization'],
  };
}

const identityStatuses: readonly unknown[] = ['UNAUTHENTICATED', 'PERMISSION_DENIED'];

function refusedByStatus(address: string, error: GrpcError | undefined): ConnectError {
  const reason = identityStatuses.includes(error?.status) ? 'identity_refused' : 'http_refused';
  const said = error ? `${error.status}: ${error.message}` : 'OK, and no more';
  return new ConnectError(reason, `the server at ${address} answered with gRPC status ${said}`);
}
