import type { Http2Connection, Http2Stream, RequestHead } from '@fairlead/http2';
import { DialingTunnel, GrpcError, PacketStream, ServerCall } from '@fairlead/konnectivity';
import { HELLO_LIMITS, type Target, type TunnelError, toTunnelError } from '@fairlead/protocol';
import { acceptGrpc } from '../http2/grpc-answer.ts';
import { AgentConnection, type AgentConnectionHost } from './agent-connection.ts';
import type { AgentClaims } from './agent-identifiers.ts';
import type { AgentPeer } from './agent-peer.ts';
import type { BackendDialHandler } from './backend.ts';

const { idChars: maxAgentIdChars, identifiersChars: maxIdentifiersChars } = HELLO_LIMITS;

/** A Konnectivity agent's call of `AgentService/Connect`. HTTP/2 itself checks that the agent is alive. */
export class KonnectivityConnection extends AgentConnection {
  readonly session: DialingTunnel;

  /**
   * @param stream not answered yet
   * @throws GrpcError before the call is answered: `INVALID_ARGUMENT` for metadata that cannot be used,
   *   `PERMISSION_DENIED` for a peer or for claims that are refused
   */
  constructor(
    host: AgentConnectionHost,
    stream: Http2Stream,
    http2: Http2Connection,
    peer: AgentPeer,
  ) {
    super(host, peer, 'grpc', 'authenticated');
    const { options, memory, callObserver: observer } = host;
    const { agentId, agentIdentifiers } = readMetadata(stream.request);
    const claims = this.#authorize(agentId, agentIdentifiers);
    // Agents wait for these before anything else.
    const { serverCount } = host.servers();
    acceptGrpc(stream, { serverid: options.serverId, servercount: String(serverCount) });
    observer.onCallStart();
    this.session = new DialingTunnel(
      new PacketStream(new ServerCall(stream), observer),
      {
        onDraining: () => this.onDraining(),
        onUnknownDial: () => observer.onUnknownDial(),
        onClose: (error) => {
          observer.onCallEnd();
          // An agent makes one call per connection, which would only stay open.
          if (error) http2.closeSoon();
          this.onClose(error);
        },
      },
      {
        pingIntervalMs: options.pingInterval,
        pingTimeoutMs: options.pingTimeout,
        stalledStreamTimeoutMs: options.stalledStreamTimeout,
        halfCloseTimeoutMs: options.halfCloseTimeout,
        memory,
        probe: (onAnswer) => http2.ping(onAnswer),
        onHeldUp: (isHeldUp) => observer.onHeldUp(isHeldUp),
      },
    );
    this.serve(agentId, claims, stream.request.get('user-agent'));
    this.session.start();
  }

  dial(target: Target, handler: BackendDialHandler): { reset(error: TunnelError): void } {
    return this.session.dial(target, handler);
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
function readMetadata({ fields }: RequestHead) {
  const valuesOf = (wanted: string) =>
    fields.filter(([name]) => name === wanted).map(([, value]) => value);
  const [agentId = '', ...otherIds] = valuesOf('agentid');
  if (agentId === '' || otherIds.length > 0 || agentId.length > maxAgentIdChars) {
    const text = `the metadata must have one agentID of 1 to ${maxAgentIdChars} characters`;
    throw new GrpcError('INVALID_ARGUMENT', text);
  }
  const [agentIdentifiers, ...others] = valuesOf('agentidentifiers');
  if (others.length > 0 || (agentIdentifiers?.length ?? 0) > maxIdentifiersChars) {
    const text = `the metadata may have one agentIdentifiers of at most ${maxIdentifiersChars} characters`;
    throw new GrpcError('INVALID_ARGUMENT', text);
  }
  return { agentId, agentIdentifiers };
}
