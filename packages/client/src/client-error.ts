/** What failed between the client and a front end. A front end's refusal has a code of docs/errors.md. */
export type ClientErrorCode =
  /** No connection: no listener, no such socket or host, no permission, or no route. */
  | 'proxy_unreachable'
  /** The client rejected the front end's certificate. */
  | 'proxy_certificate'
  /** The front end rejected the client's certificate. */
  | 'client_certificate'
  /** The peer is not a front end, or speaks another protocol. */
  | 'proxy_protocol'
  /** A connection or stream failed, or ended early. */
  | 'stream_lost'
  /** No answer in time. */
  | 'timeout';

/** A failure of a stream, on the client's side. */
export class ClientError extends Error {
  /** A `ClientErrorCode`, or the value of the `fairlead-error` header. */
  readonly code: string;

  constructor(code: ClientErrorCode | (string & {}), text: string, options?: ErrorOptions) {
    super(text, options);
    this.name = 'ClientError';
    this.code = code;
  }
}

const unreachable: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOENT: 'the socket does not exist',
  ENOTSOCK: 'the file is not a socket',
  EACCES: 'permission denied: this user cannot open the socket',
  EPERM: 'permission denied: this user cannot open the socket',
  ENOTFOUND: 'the name cannot be resolved',
  EAI_AGAIN: 'the name cannot be resolved right now',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ETIMEDOUT: 'no answer to the connection attempt',
};

const untrusted = 'its CA is not trusted';

/** Node's codes for OpenSSL's verdicts on a server's certificate. */
const verdicts: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'it has expired (or the local clock is ahead)',
  CERT_NOT_YET_VALID: 'it is not valid yet (or the local clock is behind)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is self-signed',
  CERT_SIGNATURE_FAILURE: untrusted,
  INVALID_PURPOSE: 'it is not a server certificate',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it is for another name',
};

const certificateAlert =
  /_ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REVOKED|CERTIFICATE_EXPIRED|CERTIFICATE_UNKNOWN|UNKNOWN_CA|ACCESS_DENIED|CERTIFICATE_REQUIRED)$/;

/** Turns the error of a connection into a `ClientError` whose code names the kind of failure. */
export function toClientError(error: NodeJS.ErrnoException): ClientError {
  if (error instanceof ClientError) return error;
  const code = error.code ?? '';
  const failure = (kind: ClientErrorCode, text: string) =>
    new ClientError(kind, text, { cause: error });
  const reason = unreachable[code];
  if (reason !== undefined && error.syscall !== 'read' && error.syscall !== 'write') {
    return failure('proxy_unreachable', reason);
  }
  const verdict = verdicts[code];
  if (verdict !== undefined) {
    const text = `the certificate of the peer was rejected: ${verdict} (${code})`;
    return failure('proxy_certificate', text);
  }
  if (certificateAlert.test(code)) {
    const alert = code
      .replace(/^.*_ALERT_/, '')
      .replaceAll('_', ' ')
      .toLowerCase();
    return failure('client_certificate', `the peer rejected the client certificate: ${alert}`);
  }
  if (code.endsWith('_ALERT_NO_APPLICATION_PROTOCOL')) {
    return failure('proxy_protocol', 'the peer does not support this protocol (ALPN)');
  }
  if (code.startsWith('ERR_SSL_')) {
    const text = `the peer does not speak TLS, or another version of it (${code})`;
    return failure('proxy_protocol', text);
  }
  return failure('stream_lost', error.message);
}

/** The error of a connection that ended before the answer. */
export function unanswered(overTls: boolean): ClientError {
  return overTls
    ? new ClientError(
        'client_certificate',
        'the peer closed the connection without an answer; over HTTP/2, a front end rejects a client certificate this way',
      )
    : new ClientError('proxy_protocol', 'the peer closed the connection without an answer');
}
