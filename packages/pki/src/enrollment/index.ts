export { caHash } from './ca-hash.ts';
export { makeCertificateRequest } from './certificate-request.ts';
export { hashOfToken, makeToken, parseToken, type Token } from './token.ts';
export {
  CA_PATH,
  type CertificateReply,
  certificateReply,
  ENROLL_PATH,
  enrollRequest,
  isFinalRefusal,
  MAX_REPLY_BYTES,
  MAX_REQUEST_BYTES,
  RENEW_PATH,
  type RefusalCode,
  refusalReply,
  renewRequest,
} from './wire.ts';
