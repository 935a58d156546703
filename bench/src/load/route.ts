/** A TCP address; hosts are IPv4 addresses here. */
export interface TcpAddress {
  readonly host: string;
  readonly port: number;
}

export type Address = TcpAddress | { readonly path: string };

/** How a client gets to a target; plain data, since it goes to another process. */
export interface Route {
  /** Where the client connects. */
  readonly address: Address;
  /** Mutual TLS on the client's leg: PEM texts. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
  /**
   * What the client says there: nothing (the address leads to the target and nowhere else), an
   * HTTP/1.1 CONNECT per connection, an HTTP/2 CONNECT or a gRPC tunnel per stream.
   */
  readonly by: 'forward' | 'connect' | 'http2-connect' | 'grpc';
  readonly target: TcpAddress;
}
