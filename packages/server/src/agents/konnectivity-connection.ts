import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { DialingTunnel, GrpcError, PacketStream } from '@fairlead/konnectivity';
import { HELLO_LIMITS, type Target, type TunnelStream, toTunnelError } from '@fairlead/protocol';
import { acceptGrpc } from '../http2/grpc-answer.ts';
import { AgentConnection, type AgentConnectionHost } from './agent-connection.ts';
import type { AgentClaims } from './agent-identifiers.ts';
import type { AgentPeer } from './agent-peer.ts';

const { idChars: maxAgentIdChars, identifiersChars: maxIdentifiersChars } = HELLO_LIMITS;

/** A Konnectivity agent's call of `AgentService/Connect`. HTTP/2 itself checks that the agent is alive. */
export class KonnectivityConnection extends AgentConnection {
  readonly session: DialingTunnel;

  /**
   * @param stream not answered yet
   * @param headers with the agent's metadata
   * @throws GrpcError before the call is answered: `INVALID_ARGUMENT` for metadata that cannot be used,
   *   `PERMISSION_DENIED` for a peer or for claims that are refused
   */
  constructor(
    host: AgentConnectionHost,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    peer: AgentPeer,
  ) {
    super(host, peer, 'grpc', 'authenticated');
    const { options, memory, callObserver: observer } = host;
    const { agentId, agentIdentifiers } = readMetadata(headers);
    const claims = this.#authorize(agentId, agentIdentifiers);
    // Agents wait for these before anything else.
    const { serverCount } = host.servers();
    acceptGrpc(stream, { serverid: options.serverId, servercount: String(serverCount) });
    observer.onCallStart();
    const http2 = stream.session;
    this.session = new DialingTunnel(
      new PacketStream(stream, 'server', observer),
      {
        onDraining: () => this.onDraining(),
        onUnknownDial: () => observer.onUnknownDial(),
        onClose: (error) => {
          observer.onCallEnd();
          // An agent makes one call per connection, which would only stay open.
          if (error && http2 && !http2.destroyed) http2.destroy();
          this.onClose(error);
        },
      },
      {
        pingIntervalMs: options.pingInterval,
        pingTimeoutMs: options.pingTimeout,
        stalledStreamTimeoutMs: options.stalledStreamTimeout,
        halfCloseTimeoutMs: options.halfCloseTimeout,
        memory,
        probe: (onAnswer) => {
          if (!http2 || http2.destroyed) return;
          http2.ping((error, rttMs) => {
            if (!error) onAnswer(rttMs);
          });
        },
        onHeldUp: (isHeldUp) => observer.onHeldUp(isHeldUp),
      },
    );
    this.serve(agentId, claims, headers['user-agent']);
    this.session.start();
  }

  dial(target: Target, signal: AbortSignal): Promise<TunnelStream> {
    return this.session.dial(target, signal);
  }

  #authorize(agentId: string, agentIdentifiers: string | undefined): AgentClaims {
    const { authorize, whyDenied } = this.host;
    const reason = whyDenied(this.peer);
    if (reason !== undefined) throw new GrpcError('PERMISSION_DENIED', reason);
    try {
      return authorize(agentId, agentIdentifiers, this.peer);
    } catch (error) {
      throw new GrpcError('PERMISSION_DENIED', toTunnelError(error).message);
    }
  }
}

/** @throws GrpcError `INVALID_ARGUMENT` that names the metadata */
function readMetadata({
  agentid: agentId,
  agentidentifiers: agentIdentifiers,
}: IncomingHttpHeaders) {
  if (typeof agentId !== 'string' || agentId === '' || agentId.length > maxAgentIdChars) {
    const text = `the metadata must have one agentID of 1 to ${maxAgentIdChars} characters`;
    throw new GrpcError('INVALID_ARGUMENT', text);
  }
  if (agentIdentifiers === undefined) return { agentId, agentIdentifiers };
  if (typeof agentIdentifiers !== 'string' || agentIdentifiers.length > maxIdentifiersChars) {
    const text = `the metadata may have one agentIdentifiers of at most ${maxIdentifiersChars} characters`;
    throw new GrpcError('INVALID_ARGUMENT', text);
  }
  return { agentId, agentIdentifiers };
}
