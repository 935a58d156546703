import type { z } from 'zod';
import { ApiError } from './api-error.ts';

/** @throws ApiError for an answer of another form; `what` names what was asked for */
export function readAnswer<T>(schema: z.ZodType<T>, answer: unknown, what: string): T {
  const { success, data } = schema.safeParse(answer);
  if (success) return data;
  throw new ApiError(0, '', `the Kubernetes API answered with something else than ${what}`);
}
