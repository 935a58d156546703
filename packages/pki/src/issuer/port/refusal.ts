import { type RefusalCode, refusalStatus } from '../../enrollment/wire.ts';

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
    this.status = options.status ?? refusalStatus[code];
    this.enrollment = options.enrollment;
  }
}
