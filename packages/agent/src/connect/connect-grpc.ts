import { CONNECT_METHOD, errorFromTrailers } from '@fairlead/konnectivity';
import { release } from '@fairlead/runtime/process';
import type { ClientHttp2Session, ClientHttp2Stream } from 'http2-wrapper';
import { authorizationHeader } from '../identity/agent-token.ts';
import { type Connect, ConnectAttempt } from './connect-attempt.ts';
import { ConnectError } from './connect-error.ts';
import { post } from './connect-http2.ts';
import { closeWithStream } from './http2-session.ts';

/** A call to a Konnectivity server that has accepted this agent, before the first packet. */
export interface GrpcConnection {
  readonly kind: 'grpc';
  readonly session: ClientHttp2Session;
  readonly stream: ClientHttp2Stream;
  /** What the server says about itself, as in HELLO. */
  readonly serverId: string;
  readonly serverCount: number;
  /** Closes at once; for a connection that is not needed. */
  destroy(): void;
}

const identityStatuses: readonly unknown[] = ['UNAUTHENTICATED', 'PERMISSION_DENIED'];

/** `AgentService/Connect` of a Konnectivity server, which carries its packets instead of frames. */
export const connectGrpc: Connect<GrpcConnection> = (endpoint, tls, options) =>
  ConnectAttempt.run(options, async (attempt) => {
    const { agentId = '', agentIdentifiers = '' } = options.grpcIdentity ?? {};
    const { address, session, stream, answer } = await post(attempt, endpoint, tls, 'gRPC', {
      ':path': CONNECT_METHOD,
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': `fairlead-agent/${release.version}`,
      agentid: agentId,
      agentidentifiers: agentIdentifiers,
      ...authorizationHeader(options.tokenPath),
    });
    if (answer['grpc-status'] !== undefined) {
      const error = errorFromTrailers(answer);
      throw new ConnectError(
        identityStatuses.includes(error?.status) ? 'identity_refused' : 'http_refused',
        `the server at ${address} answered with gRPC status ` +
          (error ? `${error.status}: ${error.message}` : 'OK and ended the call'),
      );
    }
    const { serverid: serverId, servercount } = answer;
    const serverCount = Number(servercount);
    if (typeof serverId !== 'string' || !Number.isInteger(serverCount)) {
      const text = `the server at ${address} sent no valid serverID and serverCount`;
      throw new ConnectError('protocol_mismatch', text);
    }
    closeWithStream(session, stream);
    const destroy = () => session.destroy();
    return { kind: 'grpc', session, stream, serverId, serverCount, destroy };
  });
