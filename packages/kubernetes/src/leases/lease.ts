import { z } from 'zod';

const microTime = z.string().refine((text) => !Number.isNaN(Date.parse(text)));

/** A Lease (coordination.k8s.io/v1) as the API writes it; what is not named here is kept as it is. */
export const leaseSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    uid: z.string().optional(),
    resourceVersion: z.string().default(''),
    labels: z.record(z.string(), z.string()).nullish(),
    annotations: z.record(z.string(), z.string()).nullish(),
  }),
  spec: z
    .looseObject({
      holderIdentity: z.string().nullish(),
      leaseDurationSeconds: z.number().nullish(),
      acquireTime: microTime.nullish(),
      renewTime: microTime.nullish(),
    })
    .default({}),
});

export type Lease = z.infer<typeof leaseSchema>;

export const leaseListSchema = z.object({
  metadata: z.object({ resourceVersion: z.string().default('') }),
  items: z
    .array(leaseSchema)
    .nullish()
    .transform((items) => items ?? []),
});

/**
 * When a Lease ends by its own word, in ms since the epoch: its last renewal, or else its beginning, and
 * its duration after that. One without these has ended.
 */
export function leaseEndMs({ spec }: Lease): number {
  const since = spec.renewTime ?? spec.acquireTime;
  return since ? Date.parse(since) + (spec.leaseDurationSeconds ?? 0) * 1_000 : 0;
}

/** A time as Leases carry it, in microseconds; the API takes no other number of digits. */
export function formatMicroTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
