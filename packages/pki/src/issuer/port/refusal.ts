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

/** A request that gets no certificate. The text is for the peer, and holds no secret. */
export class Refusal extends Error {
  readonly code: RefusalCode;
  readonly status: number;
  /** The token's ID, once it is known that there is one. */
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
