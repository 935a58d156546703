import type { z } from 'zod';

/** The Kubernetes API answered with an error, or did not answer. The message is one line. */
export class ApiError extends Error {
  /** HTTP status; 0 without an answer. */
  readonly status: number;
  /** From the answer's Status object: `Conflict`, `Expired`. Empty if there is none. */
  readonly reason: string;

  constructor(status: number, reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ApiError';
    this.status = status;
    this.reason = reason;
  }
}

/** Any thrown value as an ApiError; status 0 for an error that is not the API's. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ApiError(0, '', message, { cause: error });
}

/**
 * Validates an answer.
 * @param expected names the expected object in the error: `a Lease`
 * @throws ApiError if the answer has another form
 */
export function readAnswer<T>(schema: z.ZodType<T>, answer: unknown, expected: string): T {
  const { success, data } = schema.safeParse(answer);
  if (success) return data;
  throw new ApiError(0, '', `the Kubernetes API did not answer with ${expected}`);
}
