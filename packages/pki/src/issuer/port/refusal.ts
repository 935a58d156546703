import type { RefusalCode } from '../../enrollment/index.ts';

const statuses: Readonly<Record<RefusalCode, number>> = {
  bad_request: 400,
  token_unknown: 401,
  token_expired: 401,
  token_used: 401,
  certificate_refused: 403,
  rate_limited: 429,
  unavailable: 503,
};

/** A refused request. The text is sent to the peer and contains no secret. */
export class Refusal extends Error {
  readonly code: RefusalCode;
  readonly status: number;
  /** The token's ID, if the token is known. */
  readonly enrollment: string | undefined;

  constructor(
    code: RefusalCode,
    message: string,
    options: { readonly status?: number; readonly enrollment?: string | undefined } = {},
  ) {
    super(message);
    this.name = 'Refusal';
    this.code = code;
    this.status = options.status ?? statuses[code];
    this.enrollment = options.enrollment;
  }
}
