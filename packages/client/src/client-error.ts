/**
 * What failed on the client's side of a front end. A front end's own refusals carry its code of
 * docs/errors.md instead.
 */
export type ClientErrorCode =
  /** No connection: nobody listens, no such socket or host, no permission, no route. */
  | 'proxy_unreachable'
  /** The front end's certificate was not accepted here. */
  | 'proxy_certificate'
  /** The front end did not accept our certificate. */
  | 'client_certificate'
  /** What answers there is no front end, or speaks another protocol. */
  | 'proxy_protocol'
  /** A connection or stream broke, or ended where it should have gone on. */
  | 'stream_lost'
  /** No answer in time. */
  | 'timeout';

/** A failure of a stream as its client sees it. */
export class ClientError extends Error {
  /** A `ClientErrorCode`, or what the `fairlead-error` header said. */
  readonly code: string;

  constructor(code: ClientErrorCode, text: string, options?: ErrorOptions);
  /** @param text the front end's own sentence */
  constructor(code: string, text: string, options?: ErrorOptions);
  constructor(code: string, text: string, options?: ErrorOptions) {
    super(text, options);
    this.name = 'ClientError';
    this.code = code;
  }
}

const unreachable: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOENT: 'there is no such socket',
  ENOTSOCK: 'this file is no socket',
  EACCES: 'permission denied: this user may not open the socket',
  EPERM: 'permission denied: this user may not open the socket',
  ENOTFOUND: 'the name cannot be resolved',
  EAI_AGAIN: 'the name cannot be resolved now',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ETIMEDOUT: 'no answer to the connection attempt',
};

/** OpenSSL's verdicts on a server's certificate, as Node names them. */
const verdicts: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'it has expired (or the clock here is ahead)',
  CERT_NOT_YET_VALID: 'it is not valid yet (or the clock here is behind)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'a CA signed it that is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT: 'a CA signed it that is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'a CA signed it that is not trusted here',
  SELF_SIGNED_CERT_IN_CHAIN: 'a CA signed it that is not trusted here',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is self-signed',
  CERT_SIGNATURE_FAILURE: 'a CA signed it that is not trusted here',
  INVALID_PURPOSE: 'it is not meant for a server',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it is for another name',
};

const certificateAlert =
  /_ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REVOKED|CERTIFICATE_EXPIRED|CERTIFICATE_UNKNOWN|UNKNOWN_CA|ACCESS_DENIED|CERTIFICATE_REQUIRED)$/;

/** A connection's error, told apart. */
export function toClientError(error: NodeJS.ErrnoException): ClientError {
  if (error instanceof ClientError) return error;
  const code = error.code ?? '';
  const cause = { cause: error };
  const reason = unreachable[code];
  if (reason !== undefined && error.syscall !== 'read' && error.syscall !== 'write') {
    return new ClientError('proxy_unreachable', reason, cause);
  }
  const verdict = verdicts[code];
  if (verdict !== undefined) {
    return new ClientError(
      'proxy_certificate',
      `its certificate is refused: ${verdict} (${code})`,
      cause,
    );
  }
  if (certificateAlert.test(code)) {
    const alert = code.replace(/^.*_ALERT_/, '').replaceAll('_', ' ');
    return new ClientError(
      'client_certificate',
      `it says "${alert.toLowerCase()}" to our certificate`,
      cause,
    );
  }
  if (code.endsWith('_ALERT_NO_APPLICATION_PROTOCOL')) {
    return new ClientError('proxy_protocol', 'it does not speak that protocol (ALPN)', cause);
  }
  if (code.startsWith('ERR_SSL_')) {
    return new ClientError(
      'proxy_protocol',
      `it speaks no TLS, or none of our version (${code})`,
      cause,
    );
  }
  return new ClientError('stream_lost', error.message, cause);
}

/** The connection ended where an answer should have come. */
export function unanswered(overTls: boolean): ClientError {
  return overTls
    ? new ClientError(
        'client_certificate',
        'it closed the connection without an answer, as a front end does over HTTP/2 that refuses our certificate',
      )
    : new ClientError('proxy_protocol', 'it closed the connection without an answer');
}
