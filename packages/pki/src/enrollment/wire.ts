/**
 * The protocol between an agent and the issuer: HTTP/1.1 over TLS 1.3, one request on each connection.
 *
 * 1. `GET /v1/ca` returns the CA's certificates in PEM. The agent does not verify this connection and sends no
 *    secret: it compares the CA's hash with the hash that it was given.
 * 2. `POST /v1/enrol`, on a connection verified by that CA, sends the token and a certificate request.
 * 3. `POST /v1/renew`, also verified, has the current certificate as client certificate, and sends a
 *    certificate request.
 */
import { z } from 'zod';

export const CA_PATH = '/v1/ca';
export const ENROLL_PATH = '/v1/enrol';
export const RENEW_PATH = '/v1/renew';

/** Most bytes of a request's body: twice those of an RSA-8192 certificate request in JSON. */
export const MAX_REQUEST_BYTES = 16 * 1024;
/** Most bytes of an answer's body: a chain, or a bundle of CAs. */
export const MAX_REPLY_BYTES = 256 * 1024;

export const renewRequest = z.strictObject({ csr: z.string() });
export const enrollRequest = z.strictObject({ token: z.string(), csr: z.string() });

/** The certificate in PEM, followed by those between it and the CA. */
export const certificateReply = z.object({ certificate: z.string() });
export type CertificateReply = z.infer<typeof certificateReply>;

/** The HTTP status of each refusal. */
export const refusalStatus = {
  bad_request: 400,
  token_unknown: 401,
  token_expired: 401,
  token_used: 401,
  certificate_refused: 403,
  rate_limited: 429,
  unavailable: 503,
} as const;

/** Why a request was refused, for programs. */
export type RefusalCode = keyof typeof refusalStatus;

const codes = Object.keys(refusalStatus) as [RefusalCode, ...RefusalCode[]];

/** The body of every answer other than 200. */
export const refusalReply = z.object({ code: z.enum(codes), error: z.string().max(1000) });

/** Whether a retry of the same request is refused too. */
export const isFinalRefusal = (code: RefusalCode): boolean =>
  code !== 'rate_limited' && code !== 'unavailable';
