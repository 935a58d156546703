import { z } from 'zod';
import type { ApiClient } from './api-client.ts';
import { readAnswer } from './api-error.ts';

const answerSchema = z.object({
  status: z
    .object({
      authenticated: z.boolean().default(false),
      error: z.string().optional(),
      audiences: z.array(z.string()).nullish(),
      user: z
        .object({
          username: z.string().default(''),
          extra: z.record(z.string(), z.array(z.string()).nullable()).nullish(),
        })
        .optional(),
    })
    .default({ authenticated: false }),
});

/** The API's verdict on a token (authentication.k8s.io/v1 TokenReview). */
export type TokenReview = Awaited<ReturnType<typeof reviewToken>>;

/**
 * Asks the API whose token this is. Needs the permission to create tokenreviews (ClusterRole
 * system:auth-delegator).
 * @throws ApiError if the API gives no verdict
 */
export async function reviewToken(api: ApiClient, token: string, audience: string) {
  const answer = await api.request({
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/tokenreviews',
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [audience] },
    },
  });
  const { status } = readAnswer(answerSchema, answer, 'a TokenReview');
  /** Such as `authentication.kubernetes.io/node-name`; the first value of each. */
  const extra = new Map<string, string>();
  for (const [name, values] of Object.entries(status.user?.extra ?? {})) {
    if (values?.[0] !== undefined) extra.set(name, values[0]);
  }
  return {
    isAuthenticated: status.authenticated,
    error: status.error,
    /** The requested audiences that the token is valid for. */
    audiences: status.audiences ?? [],
    username: status.user?.username ?? '',
    extra,
  };
}
