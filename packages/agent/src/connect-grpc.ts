import { readFile } from 'node:fs/promises';
import { CONNECT_METHOD, errorFromTrailers, type GrpcError } from '@fairlead/konnectivity';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'http2-wrapper';
import { ConnectAttempt, type Connector, type GrpcIdentity } from './connect-attempt.ts';
import { ConnectError } from './connect-error.ts';
import { closeWithStream, startHttp2 } from './http2-session.ts';
import { refusedByHttp } from './refused-by-http.ts';
import { openServerConnection } from './secure-socket.ts';
import { closedEarly } from './tls-error.ts';
import { version } from './version.ts';

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
    const metadata = await metadataOf(options.grpcIdentity);
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

function call(session: ClientHttp2Session, metadata: Record<string, string>): ClientHttp2Stream {
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

/** The token's file is read each time: Kubernetes replaces what is in it. */
async function metadataOf(identity: GrpcIdentity | undefined): Promise<Record<string, string>> {
  const { agentId = '', agentIdentifiers = '', tokenPath } = identity ?? {};
  const metadata = { agentid: agentId, agentidentifiers: agentIdentifiers };
  if (tokenPath === undefined) return metadata;
  try {
    const token = (await readFile(tokenPath, 'utf8')).trim();
    return { ...metadata, authorization: `Bearer ${token}` };
  } catch (error) {
    const text = `--service-account-token-path: cannot read ${tokenPath}: ${(error as Error).message}`;
    throw new ConnectError('own_token', text, { cause: error });
  }
}

const identityStatuses: readonly unknown[] = ['UNAUTHENTICATED', 'PERMISSION_DENIED'];

function refusedByStatus(address: string, error: GrpcError | undefined): ConnectError {
  const reason = identityStatuses.includes(error?.status) ? 'own_certificate' : 'http_refused';
  const said = error ? `${error.status}: ${error.message}` : 'OK, and no more';
  return new ConnectError(reason, `the server at ${address} answered with gRPC status ${said}`);
}
