import { encodeFields, type Http2Stream } from '@fairlead/http2';
import {
  CONNECT_METHOD,
  GrpcError,
  PacketStream,
  PROXY_METHOD,
  ServerCall,
} from '@fairlead/konnectivity';
import { joinStreams, TUNNEL_PATH, TunnelError } from '@fairlead/protocol';
import { grpcHead, isGrpc, refuseGrpc } from '../http2/grpc-answer.ts';
import { type RefusalDetails, refuseHttp2 } from '../listeners/refusal.ts';
import { clientsPort } from '../listeners/wrong-port.ts';
import type { Caller } from './caller.ts';
import { ConnectStream } from './connect-stream.ts';
import type { FrontEndOptions, GrpcObserver } from './front-end-options.ts';
import type { ProxiedStreams } from './proxied-streams.ts';
import { ProxyCall } from './proxy-call.ts';

const established = encodeFields({ ':status': '200' });

/** Serves CONNECT and calls of Konnectivity's `ProxyService/Proxy`, as `--mode` allows; refuses other requests. */
export class Http2Requests {
  readonly #options: FrontEndOptions;
  readonly #streams: ProxiedStreams;
  readonly #grpcObserver: GrpcObserver;

  constructor(options: FrontEndOptions, streams: ProxiedStreams) {
    this.#options = options;
    this.#streams = streams;
    this.#grpcObserver = options.observer.grpcCalls('Proxy');
  }

  serve(stream: Http2Stream, caller: Caller): void {
    if (isGrpc(stream.request)) this.#serveGrpc(stream, caller);
    else this.#serveConnect(stream, caller);
  }

  #serveConnect(stream: Http2Stream, caller: Caller): void {
    const startedAtMs = performance.now();
    const { method, path, authority = '' } = stream.request;
    const refuse = (error: TunnelError, details: RefusalDetails) =>
      refuseHttp2(stream, error, startedAtMs, details);
    const servesConnect = this.#options.mode !== 'grpc';
    if (method !== 'CONNECT' || !servesConnect) {
      const served = servesConnect ? 'CONNECT' : 'gRPC';
      const hint = path === TUNNEL_PATH ? `: ${clientsPort}` : '';
      const reason = `only ${served} is served here, not ${method}${hint}`;
      const error = new TunnelError('method_not_allowed', reason);
      this.#streams.reportRefusal(error, caller);
      refuse(error, { allow: servesConnect ? 'CONNECT' : 'POST' });
      return;
    }
    const client = new ConnectStream(stream);
    this.#streams.start({
      protocol: 'http2',
      caller,
      authority,
      startedAtMs,
      watch: (onGone) => client.watch(onGone),
      accept: (tunnelStream, options) => {
        stream.respond(established);
        joinStreams(client, tunnelStream, options);
        stream.resume();
      },
      refuse: (error, target) => refuse(error, { target }),
    });
  }

  #serveGrpc(stream: Http2Stream, caller: Caller): void {
    if (stream.request.path === CONNECT_METHOD) {
      refuseGrpc(stream, new GrpcError('UNIMPLEMENTED', clientsPort));
      return;
    }
    if (this.#options.mode === 'http-connect') {
      refuseGrpc(stream, new GrpcError('UNIMPLEMENTED', 'gRPC is not served here'));
      return;
    }
    if (stream.request.path !== PROXY_METHOD) {
      refuseGrpc(stream, new GrpcError('UNIMPLEMENTED', `only ${PROXY_METHOD} is served here`));
      return;
    }
    const wire = new PacketStream(new ServerCall(stream, grpcHead), this.#grpcObserver);
    new ProxyCall(wire, caller, this.#streams, this.#grpcObserver, this.#options.headTimeoutMs);
  }
}
