/**
 * What an agent and the issuer say to each other: HTTP/1.1 over TLS 1.3, one request a connection.
 *
 * 1. `GET /v1/ca` gives the CA's certificates in PEM. It is asked without trust, and nothing secret is
 *    sent: the agent compares what it gets with the hash that it was given.
 * 2. `POST /v1/enrol`, on a connection that was verified by that CA, with token and certificate request.
 * 3. `POST /v1/renew`, likewise, with the present certificate as the client's, and a certificate request.
 */
import { z } from 'zod';

export const CA_PATH = '/v1/ca';
export const ENROLL_PATH = '/v1/enrol';
export const RENEW_PATH = '/v1/renew';

/** A request's body: an RSA-8192 certificate request in JSON has half of it. */
export const MAX_REQUEST_BYTES = 16 * 1024;
/** An answer's body: a chain, or a bundle of CAs. */
export const MAX_REPLY_BYTES = 256 * 1024;

export const renewRequest = z.strictObject({ csr: z.string() });
export const enrollRequest = z.strictObject({ token: z.string(), csr: z.string() });

/** The certificate in PEM, then those between it and the CA. */
export const certificateReply = z.object({ certificate: z.string() });
export type CertificateReply = z.infer<typeof certificateReply>;

/** Whether there is any use in asking again. */
const refusals = {
  bad_request: { isFinal: true },
  token_unknown: { isFinal: true },
  token_expired: { isFinal: true },
  token_used: { isFinal: true },
  certificate_refused: { isFinal: true },
  rate_limited: { isFinal: false },
  unavailable: { isFinal: false },
} as const;

/** Why a certificate was not issued, for programs. */
export type RefusalCode = keyof typeof refusals;

const codes = Object.keys(refusals) as [RefusalCode, ...RefusalCode[]];

/** The body of every answer but 200. */
export const refusalReply = z.object({ code: z.enum(codes), error: z.string().max(1000) });

/** Whether the same request will be refused however often it is sent. */
export const isFinalRefusal = (code: RefusalCode): boolean => refusals[code].isFinal;
