/** A TCP address. */
export interface TcpAddress {
  /** A name or an IP address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** TCP, or a Unix domain socket. */
export type Address = TcpAddress | { readonly path: string };

/** TLS on the client's leg: PEM texts. */
export interface ClientTls {
  /** Node's public CAs if left out. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** What the certificate must be for; the address' host if left out. */
  readonly serverName?: string;
}

/** How a client gets to a target; plain data, so that it can go to another process. */
export interface Route {
  /** Where the client connects. */
  readonly address: Address;
  readonly tls?: ClientTls;
  /**
   * What the client says there: nothing (the address leads to the target and nowhere else), an
   * HTTP/1.1 CONNECT per connection, an HTTP/2 CONNECT or a gRPC tunnel per stream.
   */
  readonly by: 'forward' | 'connect' | 'http2-connect' | 'grpc';
  readonly target: TcpAddress;
  /** Over how many connections the streams of HTTP/2 CONNECT are spread; one if left out. */
  readonly connections?: number;
  /** Whether an HTTP/2 connection reads on while its peer does not, at some cost (`EagerSocket`). */
  readonly isEager?: boolean;
}

/** `HOST:PORT`, as CONNECT names it: IPv6 in brackets. */
export function authorityOf({ host, port }: TcpAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
