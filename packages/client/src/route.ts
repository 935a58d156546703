import type { Target as TcpAddress } from '@fairlead/protocol';

export type Address = TcpAddress | { readonly path: string };

/** TLS between client and front end: PEM texts. */
export interface ClientTls {
  /** Node's public CAs if left out. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** The name that the certificate must have; the address' host if left out. */
  readonly serverName?: string;
}

/** How a client reaches a target. Plain data, so that it can be sent to another process. */
export interface Route {
  readonly address: Address;
  readonly tls?: ClientTls;
  /**
   * How the client requests a stream: not at all, because the address leads to the target (`forward`);
   * with an HTTP/1.1 CONNECT for each connection; or with an HTTP/2 CONNECT or a gRPC call for each
   * stream.
   */
  readonly by: 'forward' | 'connect' | 'http2-connect' | 'grpc';
  readonly target: TcpAddress;
  /** Number of connections that the streams of HTTP/2 CONNECT share; 1 if left out. */
  readonly connections?: number;
  /** Whether an HTTP/2 connection reads while its writes wait (`EagerSocket`); costs some CPU. */
  readonly isEager?: boolean;
}
