import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { GrpcError, PacketStream, PROXY_METHOD } from '@fairlead/konnectivity';
import { TunnelError } from '@fairlead/protocol';
import { acceptGrpc, isGrpc, refuseGrpc } from '../http2/grpc-answer.ts';
import { type RefusalDetails, refuseHttp2 } from '../listeners/refusal.ts';
import type { Caller } from './caller.ts';
import type { FrontEndOptions, GrpcObserver } from './front-end-options.ts';
import type { ProxiedStreams } from './proxied-streams.ts';
import { ProxyCall } from './proxy-call.ts';

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

  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, caller: Caller): void {
    if (isGrpc(headers)) this.#serveGrpc(stream, headers, caller);
    else this.#serveConnect(stream, headers, caller);
  }

  #serveConnect(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, caller: Caller): void {
    const startedAtMs = performance.now();
    const refuse = (error: TunnelError, details: RefusalDetails) =>
      refuseHttp2(stream, error, startedAtMs, details);
    const servesConnect = this.#options.mode !== 'grpc';
    const method = headers[':method'];
    if (method !== 'CONNECT' || !servesConnect) {
      const served = servesConnect ? 'CONNECT' : 'gRPC';
      const reason = `only ${served} is served here, not ${method}`;
      const error = new TunnelError('method_not_allowed', reason);
      this.#streams.reportRefusal(error, caller);
      refuse(error, { allow: servesConnect ? 'CONNECT' : 'POST' });
      return;
    }
    this.#streams.start({
      protocol: 'http2',
      caller,
      authority: headers[':authority'] ?? '',
      duplex: stream,
      startedAtMs,
      accept: () => {
        if (!stream.destroyed) stream.respond({ ':status': 200 });
      },
      refuse: (error, target) => refuse(error, { target }),
    });
  }

  #serveGrpc(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, caller: Caller): void {
    if (this.#options.mode === 'http-connect') {
      refuseGrpc(stream, new GrpcError('UNIMPLEMENTED', 'gRPC is not served here'));
      return;
    }
    if (headers[':path'] !== PROXY_METHOD) {
      refuseGrpc(stream, new GrpcError('UNIMPLEMENTED', `only ${PROXY_METHOD} is served here`));
      return;
    }
    acceptGrpc(stream);
    const observer = this.#grpcObserver;
    observer.onCallStart();
    stream.once('close', () => observer.onCallEnd());
    const wire = new PacketStream(stream, 'server', observer);
    new ProxyCall(wire, caller, this.#streams, observer, this.#options.headTimeoutMs);
  }
}
